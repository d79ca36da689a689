using System.Text.Json.Nodes;

namespace TokenMill.Shared.OpenAi;

/// <summary>POST /v1/responses.</summary>
public sealed record ResponseRequest : CompletionOptions
{
    /// <summary>A text, or a list of items: messages, calls and their results.</summary>
    public required JsonNode Input { get; init; }

    /// <summary>A system message before everything.</summary>
    public string? Instructions { get; init; }
    public int? MaxOutputTokens { get; init; }
    public JsonArray? Tools { get; init; }
    public JsonNode? ToolChoice { get; init; }
    public bool? ParallelToolCalls { get; init; }

    /// <summary>{"format": {"type", "schema"}}.</summary>
    public JsonObject? Text { get; init; }
    public string? PreviousResponseId { get; init; }
    public JsonNode? Conversation { get; init; }
    public bool Background { get; init; }
    public JsonObject? Metadata { get; init; }
    public JsonObject? ChatTemplateKwargs { get; init; }
}
