using System.Text.Json.Nodes;

namespace TokenMill.Shared.OpenAi;

/// <summary>POST /v1/chat/completions.</summary>
public sealed record ChatCompletionRequest : CompletionOptions
{
    /// <summary>As they came, since chat templates read keys that we do not know.</summary>
    public required JsonArray Messages { get; init; }
    public JsonArray? Tools { get; init; }
    public JsonNode? ToolChoice { get; init; }
    public bool? ParallelToolCalls { get; init; }
    public JsonObject? ResponseFormat { get; init; }
    public int? MaxCompletionTokens { get; init; }
    public bool? Logprobs { get; init; }
    public int? TopLogprobs { get; init; }

    /// <summary>none: reasoning stays in the content; auto, and absent: it goes into reasoning_content.</summary>
    public string? ReasoningFormat { get; init; }

    /// <summary>More variables for the chat template.</summary>
    public JsonObject? ChatTemplateKwargs { get; init; }
}
