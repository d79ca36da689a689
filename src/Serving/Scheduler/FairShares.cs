namespace TokenMill.Serving.Scheduler;

/// <summary>What one tenant was given.</summary>
internal sealed class FairShare
{
    public long ServedTokens { get; set; }

    /// <summary>Its requests that have not ended.</summary>
    public int Requests { get; set; }
}

/// <summary>
/// Tokens served to each tenant, so that the one served least goes next (virtual token counter, arXiv 2401.00588). A tenant that comes, or
/// comes back, starts no lower than the least served of those that are there: nobody saves up by staying away.
/// </summary>
internal sealed class FairShares
{
    private readonly Dictionary<string, FairShare> _shares = [];

    /// <summary>One more request of a tenant is there.</summary>
    public FairShare Join(string tenant)
    {
        if (!_shares.TryGetValue(tenant, out var share)) _shares[tenant] = share = new FairShare();
        if (share.Requests == 0) share.ServedTokens = Math.Max(share.ServedTokens, LeastServed() ?? 0);
        share.Requests++;
        return share;
    }

    public void Leave(FairShare share)
    {
        if (--share.Requests > 0) return;
        var least = LeastServed();
        foreach (var (tenant, absent) in _shares)              // whose counter a newcomer would start from anyway need not be remembered
            if (absent.Requests == 0 && absent.ServedTokens <= (least ?? long.MaxValue)) _shares.Remove(tenant);
    }

    private long? LeastServed()
    {
        long? least = null;
        foreach (var share in _shares.Values)
            if (share.Requests > 0 && !(share.ServedTokens >= least)) least = share.ServedTokens;
        return least;
    }
}
