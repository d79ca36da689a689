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

    /// <summary>Chunks in order, without the closing mark. Ends early, without an error, when the engine does.</summary>
    public async IAsyncEnumerable<JsonObject> ChunksAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var item in SseParser.Create(body).EnumerateAsync(cancellationToken))
        {
            if (item.Data == Done) yield break;
            if (JsonNode.Parse(item.Data) is not JsonObject chunk) throw new JsonException("a chunk of the engine is no object");
            if (chunk["usage"] is JsonObject usage) Tokens = UsageOf(usage);
            yield return chunk;
        }
    }

    public static TokenCount UsageOf(JsonObject usage) => new(
        usage["prompt_tokens"]?.GetValue<int>() ?? 0,
        usage["prompt_tokens_details"]?["cached_tokens"]?.GetValue<int>() ?? 0,
        usage["completion_tokens"]?.GetValue<int>() ?? 0);
}
