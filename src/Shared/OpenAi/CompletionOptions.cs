using System.Text.Json.Nodes;

namespace TokenMill.Shared.OpenAi;

/// <summary>What chat and plain completions have in common. What is absent keeps OpenAI's default.</summary>
public abstract record CompletionOptions
{
    /// <summary>The base model's name or an adapter's.</summary>
    public string? Model { get; init; }
    public bool Stream { get; init; }
    public StreamOptions? StreamOptions { get; init; }
    public int? MaxTokens { get; init; }
    public double? Temperature { get; init; }
    public double? TopP { get; init; }
    public int? TopK { get; init; }
    public double? MinP { get; init; }
    public double? FrequencyPenalty { get; init; }
    public double? PresencePenalty { get; init; }
    public double? RepetitionPenalty { get; init; }
    public Dictionary<string, double>? LogitBias { get; init; }
    public long? Seed { get; init; }

    /// <summary>A string or a list of strings.</summary>
    public JsonNode? Stop { get; init; }
    public int? N { get; init; }

    /// <summary>Goes on after the end of the turn, up to the limit of tokens.</summary>
    public bool IgnoreEos { get; init; }

    /// <summary>flex: batch work, computed while nothing else is; auto, default, priority, scale, and absent: somebody waits for it.</summary>
    public string? ServiceTier { get; init; }

    /// <summary>Whose cached prefixes may be reused, and between whom turns are shared: set by the gateway, never by its clients.</summary>
    public string? Tenant { get; init; }
    public string? User { get; init; }
}

public sealed record StreamOptions
{
    public bool IncludeUsage { get; init; }

    /// <summary>Usage so far in every chunk, so that whoever counts knows it also when the stream is cut.</summary>
    public bool ContinuousUsageStats { get; init; }
}
