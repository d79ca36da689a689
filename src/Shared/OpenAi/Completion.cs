using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace TokenMill.Shared.OpenAi;

/// <summary>POST /v1/completions: plain text goes on.</summary>
public sealed record CompletionRequest : CompletionOptions
{
    /// <summary>A string, a list of token ids, or a list of either: each is answered.</summary>
    public required JsonNode Prompt { get; init; }

    /// <summary>The prompt comes back before the answer.</summary>
    public bool Echo { get; init; }

    /// <summary>0: log-probabilities of the answer's tokens; more: of so many of the likeliest too.</summary>
    public int? Logprobs { get; init; }
    public int? BestOf { get; init; }
    public string? Suffix { get; init; }
}

/// <summary>Answer to a plain completion, whole or (with streaming) in parts.</summary>
public sealed record Completion
{
    public required string Id { get; init; }
    public string Object { get; init; } = "text_completion";
    public required long Created { get; init; }
    public required string Model { get; init; }
    public required IReadOnlyList<Choice> Choices { get; init; }
    public Usage? Usage { get; init; }
    public Timings? Timings { get; init; }
    public string? ServiceTier { get; init; }

    public sealed record Choice(
        int Index,
        string Text,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] CompletionLogprobs? Logprobs,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? FinishReason);
}

/// <summary>Log-probabilities in the form of plain completions: lists side by side, one entry a token; offsets count characters of the text.</summary>
public sealed record CompletionLogprobs(
    IReadOnlyList<string> Tokens,
    IReadOnlyList<double> TokenLogprobs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] IReadOnlyList<IReadOnlyDictionary<string, double>>? TopLogprobs,
    IReadOnlyList<int> TextOffset);
