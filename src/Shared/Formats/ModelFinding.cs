namespace TokenMill.Shared.Formats;

/// <summary>Something to know about a model that is no reason to refuse it, or one of the reasons to. Field names the key, tensor or file; null for the whole.</summary>
public sealed record ModelFinding(string? Field, string Code, string Message);

/// <summary>Whether a model can be trained or served here, and why (not).</summary>
public sealed record Ability(bool Yes, string Why);
