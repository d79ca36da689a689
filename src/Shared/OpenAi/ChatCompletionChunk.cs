using System.Text.Json.Serialization;

namespace TokenMill.Shared.OpenAi;

/// <summary>One event of a streamed chat answer. The last one before [DONE] has usage and no choices, if the client asked for usage.</summary>
public sealed record ChatCompletionChunk
{
    public required string Id { get; init; }
    public string Object { get; init; } = "chat.completion.chunk";
    public required long Created { get; init; }
    public required string Model { get; init; }
    public required IReadOnlyList<Choice> Choices { get; init; }
    public Usage? Usage { get; init; }
    public Timings? Timings { get; init; }
    public string? ServiceTier { get; init; }

    public sealed record Choice(
        int Index,
        Delta Delta,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] ChatLogprobs? Logprobs,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? FinishReason);

    public sealed record Delta(string? Role = null, string? Content = null, string? ReasoningContent = null, IReadOnlyList<ToolCall>? ToolCalls = null);
}
