using System.Text.Json.Serialization;

namespace TokenMill.Shared.OpenAi;

/// <summary>Answer to a chat request without streaming.</summary>
public sealed record ChatCompletion
{
    public required string Id { get; init; }
    public string Object { get; init; } = "chat.completion";
    public required long Created { get; init; }
    public required string Model { get; init; }
    public required IReadOnlyList<Choice> Choices { get; init; }
    public required Usage Usage { get; init; }
    public Timings? Timings { get; init; }
    public string? ServiceTier { get; init; }

    public sealed record Choice(
        int Index,
        ChatMessage Message,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] ChatLogprobs? Logprobs,
        string FinishReason);
}

/// <summary>What the model said. <paramref name="ReasoningContent"/> is what it thought before, where it shows that.</summary>
public sealed record ChatMessage(string Role, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Content, string? ReasoningContent = null, IReadOnlyList<ToolCall>? ToolCalls = null)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? Refusal => null;
}

/// <summary>A call of a function; <c>Arguments</c> is JSON as text. In a stream the arguments come in parts, and <paramref name="Index"/> says whose they are.</summary>
public sealed record ToolCall(int? Index, string? Id, string? Type, ToolCall.Call Function)
{
    public sealed record Call(string? Name, string Arguments);
}
