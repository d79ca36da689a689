namespace TokenMill.Serving.Sampling;

/// <summary>How the next token is chosen. Temperature 0 takes the likeliest one.</summary>
public sealed record SamplingOptions
{
    public double Temperature { get; init; } = 1;

    /// <summary>Only so many of the likeliest tokens; 0: all.</summary>
    public int TopK { get; init; }

    /// <summary>Only the likeliest tokens that together have this probability.</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Only tokens at least this fraction as likely as the likeliest.</summary>
    public double MinP { get; init; }

    /// <summary>Taken off a token's logit for each time it was answered before.</summary>
    public double FrequencyPenalty { get; init; }

    /// <summary>Taken off a token's logit if it was answered before.</summary>
    public double PresencePenalty { get; init; }

    /// <summary>Positive logits of tokens that were answered before are divided by it, negative ones multiplied; 1: off.</summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Added to the logits of tokens.</summary>
    public IReadOnlyDictionary<int, double> LogitBias { get; init; } = new Dictionary<int, double>();

    /// <summary>The same seed, prompt and options give the same answer; null: another one each time.</summary>
    public long? Seed { get; init; }

    public static SamplingOptions Greedy { get; } = new() { Temperature = 0 };
}
