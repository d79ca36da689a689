namespace TokenMill.Serving.Scheduler;

/// <summary>
/// How long a step of answers takes by how many tokens it has, as measured lately: a runner's cost grows with them by no simple rule (kernels for
/// one row, for four, for many). What was not measured yet is taken for cheap, and what was not for long gets cheaper, so that it is tried.
/// </summary>
internal sealed class StepTimes(int mostTokens)
{
    private const double Weight = 0.3, WeightForOthers = 0.2, Forgetting = 0.005;

    private readonly double[] _seconds = new double[mostTokens + 1];   // 0: not measured
    private readonly double[] _forgotten = new double[mostTokens + 1]; // the share that is left off

    /// <summary>A machine that got slower or faster did so for the others too.</summary>
    public void Observe(int tokens, double seconds)
    {
        ref var known = ref _seconds[tokens];
        _forgotten[tokens] = 0;
        if (known == 0)
        {
            known = seconds;
            return;
        }
        var change = WeightForOthers * (Math.Clamp(seconds / known, 0.5, 2) - 1);
        foreach (ref var any in _seconds.AsSpan()) any *= 1 + change;
        known += Weight * (seconds - known);
    }

    /// <summary>Seconds; between two measured ones on the line through them. As long as nothing was measured all are alike.</summary>
    public double Of(int tokens)
    {
        var (below, above) = (tokens, tokens);
        while (below > 0 && _seconds[below] == 0) below--;
        while (above < _seconds.Length && _seconds[above] == 0) above++;
        if (above == _seconds.Length) return below > 0 ? Measured(below) : 1;
        if (below == 0) return Measured(above) * tokens / above;
        return below == above ? Measured(below) : Measured(below) + (Measured(above) - Measured(below)) * (tokens - below) / (above - below);
    }

    /// <summary>Longer steps than this one get a little cheaper, down to it.</summary>
    public void ForgetLonger(int tokens)
    {
        for (var longer = tokens + 1; longer < _seconds.Length; longer++)
            if (Measured(longer) > Measured(tokens)) _forgotten[longer] += Forgetting * (1 - _forgotten[longer]);
    }

    private double Measured(int tokens) => _seconds[tokens] * (1 - _forgotten[tokens]);
}
