namespace TokenMill.Shared.OpenAi;

/// <summary>Tokens of a request. Cached prompt tokens are part of the prompt tokens.</summary>
public sealed record Usage(int PromptTokens, int CompletionTokens, int TotalTokens, Usage.PromptDetails PromptTokensDetails)
{
    public sealed record PromptDetails(int CachedTokens);

    /// <param name="ReasoningTokens">Part of the completion tokens.</param>
    public sealed record CompletionDetails(int ReasoningTokens);

    /// <summary>Null where answers are not taken apart.</summary>
    public CompletionDetails? CompletionTokensDetails { get; init; }

    public static Usage Of(int promptTokens, int cachedTokens, int completionTokens) =>
        new(promptTokens, completionTokens, promptTokens + completionTokens, new PromptDetails(cachedTokens));
}

/// <summary>
/// Where the time of a request went, in milliseconds. Time to first token counts from arrival to the first token sampled;
/// time per output token is the rest divided by the tokens after the first.
/// </summary>
public sealed record Timings(double QueueMs, double PromptMs, double TtftMs, double TpotMs, int PromptTokens, int CachedTokens, int CompletionTokens);
