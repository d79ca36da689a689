using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace TokenMill.Web.Gateway;

/// <summary>
/// Reads what an engine streams, chunk by chunk. The engine's own count of tokens comes with each chunk, so that it is known
/// wherever the stream ends; requests ask for that with <see cref="CountedOptions"/>.
/// </summary>
public sealed class EngineStream(Stream body)
{
    private const string Done = "[DONE]";

    /// <summary>The "stream_options" of the request to the engine.</summary>
    public static JsonObject CountedOptions => new() { ["include_usage"] = true, ["continuous_usage_stats"] = true };

    /// <summary>Used so far.</summary>
    public TokenCount Tokens { get; private set; }

    /// <summary>Name of the last chunk's event; "message" where it has none.</summary>
    public string EventName { get; private set; } = "";

    /// <summary>Chunks in order, without the closing mark. Ends early, without an error, when the engine does.</summary>
    public async IAsyncEnumerable<JsonObject> ChunksAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var item in SseParser.Create(body).EnumerateAsync(cancellationToken))
        {
            if (item.Data == Done) yield break;
            if (JsonNode.Parse(item.Data) is not JsonObject chunk) throw new JsonException("a chunk of the engine is no object");
            if (chunk["usage"] is JsonObject usage) Tokens = UsageOf(usage);
            EventName = item.EventType;
            yield return chunk;
        }
    }

    /// <summary>Completions and embeddings speak of prompt and completion, responses of input and output.</summary>
    public static TokenCount UsageOf(JsonObject usage) => new(
        Count(usage["prompt_tokens"] ?? usage["input_tokens"]),
        Count((usage["prompt_tokens_details"] ?? usage["input_tokens_details"])?["cached_tokens"]),
        Count(usage["completion_tokens"] ?? usage["output_tokens"]));

    private static int Count(JsonNode? number) => number?.GetValue<int>() ?? 0;
}
