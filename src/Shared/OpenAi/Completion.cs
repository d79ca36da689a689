using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace TokenMill.Shared.OpenAi;

/// <summary>POST /v1/completions: plain text goes on.</summary>
public sealed record CompletionRequest : CompletionOptions
{
    /// <summary>A string, or a list of token ids.</summary>
    public required JsonNode Prompt { get; init; }

    /// <summary>The prompt comes back before the answer.</summary>
    public bool Echo { get; init; }
    public int? Logprobs { get; init; }
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

    public sealed record Choice(int Index, string Text, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? FinishReason);
}
