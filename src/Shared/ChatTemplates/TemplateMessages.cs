using System.Text.Json;
using System.Text.Json.Nodes;

namespace TokenMill.Shared.ChatTemplates;

/// <summary>
/// A conversation in the form that templates are written for: text parts joined, keys with null left out, no training weights,
/// and the arguments of tool calls as an object or as text, whichever the template prints as JSON.
/// </summary>
internal sealed class TemplateMessages
{
    private readonly List<JsonObject> _messages;

    private TemplateMessages(List<JsonObject> messages, JsonArray? tools) => (_messages, Tools) = (messages, tools);

    public JsonArray? Tools { get; }
    public JsonArray Messages => First(_messages.Count);

    public static TemplateMessages From(JsonArray messages, JsonArray? tools, Lazy<bool> argumentsAreObjects) =>
        new([.. messages.Select(m => Prepared(m!.AsObject(), argumentsAreObjects))], tools);

    public JsonArray First(int count) => [.. _messages.Take(count).Select(m => m.DeepClone())];

    public string Content(int index) => _messages[index]["content"] is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";

    public bool AnyText(Func<string, bool> test) => _messages.Any(m => AnyText(m, test)) || Tools is not null && AnyText(Tools, test);

    /// <summary>The same conversation with every text changed.</summary>
    public TemplateMessages Select(Func<string, string> change) =>
        new([.. _messages.Select(m => Changed(m, change)!.AsObject())], Changed(Tools, change)?.AsArray());

    /// <summary>Tried on a call: a template that prints an object as Python would, or fails on it, is meant for text.</summary>
    public static bool WantsArgumentObjects(ModelChatTemplate template)
    {
        JsonArray Call(JsonNode arguments) =>
        [
            new JsonObject { ["role"] = "user", ["content"] = "x" },
            new JsonObject
            {
                ["role"] = "assistant",
                ["content"] = "",
                ["tool_calls"] = new JsonArray(new JsonObject { ["id"] = "call00001", ["type"] = "function", ["function"] = new JsonObject { ["name"] = "f", ["arguments"] = arguments } }),
            },
        ];
        try
        {
            return !template.Render(Call(new JsonObject { ["probe"] = "x" }), null, addGenerationPrompt: false).Contains("{'probe'", StringComparison.Ordinal);
        }
        catch (TemplateException)
        {
            return false;
        }
    }

    private static JsonObject Prepared(JsonObject message, Lazy<bool> argumentsAreObjects)
    {
        var prepared = new JsonObject();
        foreach (var (key, value) in message)
        {
            if (value is null || key == "weight") continue;
            prepared[key] = key switch
            {
                "content" when value is JsonArray parts => string.Concat(parts.Select(p => p?["text"]?.GetValue<string>())),
                "tool_calls" when value is JsonArray calls => new JsonArray([.. calls.Select(c => Call(c!, argumentsAreObjects.Value))]),
                _ => value.DeepClone(),
            };
        }
        return prepared;
    }

    private static JsonNode Call(JsonNode call, bool asObject)
    {
        var copy = call.DeepClone();
        if (copy["function"] is not JsonObject function) return copy;
        var isText = function["arguments"] is JsonValue value && value.GetValueKind() == JsonValueKind.String;
        if (asObject && isText) function["arguments"] = Parsed(function["arguments"]!.GetValue<string>());
        else if (!asObject && function["arguments"] is JsonObject arguments) function["arguments"] = arguments.ToJsonString(Json.Options);
        return copy;
    }

    private static JsonNode? Parsed(string arguments)
    {
        try
        {
            return JsonNode.Parse(arguments);
        }
        catch (JsonException)
        {
            return arguments;                               // a client may send anything; the template shows it as it is
        }
    }

    private static bool AnyText(JsonNode? node, Func<string, bool> test) => node switch
    {
        JsonObject map => map.Any(p => test(p.Key) || AnyText(p.Value, test)),
        JsonArray list => list.Any(item => AnyText(item, test)),
        JsonValue value when value.TryGetValue<string>(out var text) => test(text),
        _ => false,
    };

    private static JsonNode? Changed(JsonNode? node, Func<string, string> change) => node switch
    {
        JsonObject map => new JsonObject(map.Select(p => KeyValuePair.Create(change(p.Key), Changed(p.Value, change)))),
        JsonArray list => new JsonArray([.. list.Select(item => Changed(item, change))]),
        JsonValue value when value.TryGetValue<string>(out var text) => change(text),
        _ => node?.DeepClone(),
    };
}
