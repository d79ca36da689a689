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

    public sealed record Choice(int Index, ChatMessage Message, string FinishReason);
}

public sealed record ChatMessage(string Role, string Content);
