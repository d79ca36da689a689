using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace TokenMill.Web.Gateway;

/// <summary>
/// Reads what an engine streams, chunk by chunk, and counts tokens on the way: the engine's own count where it came to that,
/// else the chunks that carried text.
/// </summary>
public sealed class EngineStream(Stream body)
{
    private const string Done = "[DONE]";

    public TokenCount Tokens { get; private set; }

    /// <summary>Chunks in order, without the closing mark. Ends early, without an error, when the engine does.</summary>
    public async IAsyncEnumerable<JsonObject> ChunksAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var item in SseParser.Create(body).EnumerateAsync(cancellationToken))
        {
            if (item.Data == Done) yield break;
            if (JsonNode.Parse(item.Data) is not JsonObject chunk) throw new JsonException("a chunk of the engine is no object");
            Count(chunk);
            yield return chunk;
        }
    }

    private void Count(JsonObject chunk)
    {
        if (chunk["usage"] is JsonObject usage) Tokens = UsageOf(usage);
        else if (HasText(chunk)) Tokens = Tokens with { Completion = Tokens.Completion + 1 };
    }

    public static TokenCount UsageOf(JsonObject usage) => new(
        usage["prompt_tokens"]?.GetValue<int>() ?? 0,
        usage["prompt_tokens_details"]?["cached_tokens"]?.GetValue<int>() ?? 0,
        usage["completion_tokens"]?.GetValue<int>() ?? 0);

    private static bool HasText(JsonObject chunk) => chunk["choices"] is JsonArray choices && choices.Any(c =>
        (c?["delta"]?["content"] ?? c?["text"]) is JsonValue text && text.TryGetValue<string>(out var value) && value.Length > 0);
}
