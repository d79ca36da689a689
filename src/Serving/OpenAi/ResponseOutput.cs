using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.OpenAi;

/// <summary>
/// The output items of a response while it is written: reasoning, messages, calls. Each part of the answer gives the events that tell of it;
/// an item is opened by its first part and closed when another kind of part, or the end, comes.
/// </summary>
internal sealed class ResponseOutput
{
    private readonly JsonArray _items = [];
    private readonly StringBuilder _text = new();
    private JsonObject? _open;
    private int? _openCall;

    /// <summary>The items so far; those that are closed are whole.</summary>
    public JsonArray Items => (JsonArray)_items.DeepClone();

    public IEnumerable<JsonObject> Add(ChatCompletionChunk.Delta delta)
    {
        if (delta.ReasoningContent is { } thought) return AddText("reasoning", thought);
        if (delta.Content is { Length: > 0 } content) return AddText("message", content);
        return (delta.ToolCalls ?? []).SelectMany(AddCall);
    }

    /// <param name="status">completed or incomplete.</param>
    public IEnumerable<JsonObject> Close(string status = "completed")
    {
        if (_open is not { } item) yield break;
        var text = _text.ToString();
        item["status"] = status;
        switch (Type)
        {
            case "function_call":
                item["arguments"] = text;
                yield return Event("response.function_call_arguments.done", ("name", item["name"]!.DeepClone()), ("arguments", text));
                break;
            case "reasoning":
                item["content"] = new JsonArray(new JsonObject { ["type"] = "reasoning_text", ["text"] = text });
                yield return Event("response.reasoning_text.done", ("content_index", 0), ("text", text));
                break;
            default:
                item["content"] = new JsonArray(TextPart(text));
                yield return Event("response.output_text.done", ("content_index", 0), ("text", text), ("logprobs", new JsonArray()));
                yield return Event("response.content_part.done", ("content_index", 0), ("part", TextPart(text)));
                break;
        }
        yield return new JsonObject { ["type"] = "response.output_item.done", ["output_index"] = _items.Count - 1, ["item"] = item.DeepClone() };
        (_open, _openCall) = (null, null);
        _text.Clear();
    }

    private string Type => _open!["type"]!.ToString();

    private IEnumerable<JsonObject> AddText(string type, string text)
    {
        if (_open is null || Type != type)
        {
            var item = type == "reasoning"
                ? new JsonObject { ["id"] = Id("rs"), ["type"] = type, ["summary"] = new JsonArray(), ["content"] = new JsonArray() }
                : new JsonObject { ["id"] = Id("msg"), ["type"] = type, ["role"] = "assistant", ["content"] = new JsonArray() };
            foreach (var e in Open(item)) yield return e;
            if (type == "message") yield return Event("response.content_part.added", ("content_index", 0), ("part", TextPart("")));
        }
        _text.Append(text);
        yield return type == "reasoning"
            ? Event("response.reasoning_text.delta", ("content_index", 0), ("delta", text))
            : Event("response.output_text.delta", ("content_index", 0), ("delta", text), ("logprobs", new JsonArray()));
    }

    private IEnumerable<JsonObject> AddCall(ToolCall call)
    {
        if (_openCall != call.Index)
        {
            foreach (var e in Open(new JsonObject { ["id"] = Id("fc"), ["type"] = "function_call", ["call_id"] = call.Id, ["name"] = call.Function.Name, ["arguments"] = "" })) yield return e;
            _openCall = call.Index;
        }
        if (call.Function.Arguments.Length == 0) yield break;
        _text.Append(call.Function.Arguments);
        yield return Event("response.function_call_arguments.delta", ("delta", call.Function.Arguments));
    }

    private IEnumerable<JsonObject> Open(JsonObject item)
    {
        foreach (var e in Close()) yield return e;
        item["status"] = "in_progress";
        _open = item;
        _items.Add((JsonNode)item);
        yield return new JsonObject { ["type"] = "response.output_item.added", ["output_index"] = _items.Count - 1, ["item"] = item.DeepClone() };
    }

    private JsonObject Event(string type, params ReadOnlySpan<(string Key, JsonNode Value)> more)
    {
        var e = new JsonObject { ["type"] = type, ["item_id"] = _open!["id"]!.DeepClone(), ["output_index"] = _items.Count - 1 };
        foreach (var (key, value) in more) e[key] = value;
        return e;
    }

    private static JsonObject TextPart(string text) => new() { ["type"] = "output_text", ["text"] = text, ["annotations"] = new JsonArray(), ["logprobs"] = new JsonArray() };

    private static string Id(string prefix) => $"{prefix}_{Guid.NewGuid():N}";
}
