namespace TokenMill.Serving.PrefixCache;

/// <summary>
/// Who may share a prefix with whom. Keys and values depend on the adapter; and between tenants nothing is shared,
/// since the time to the first token would tell one what another has asked.
/// </summary>
public readonly record struct CacheKey(string Tenant, string? Adapter);
