using System.Text.Json.Nodes;

namespace TokenMill.Serving.OpenAi;

/// <summary>The input of a response as the messages of a conversation.</summary>
internal static class ResponseInput
{
    public static JsonArray ToMessages(JsonNode input, string? instructions)
    {
        var messages = new JsonArray();
        if (!string.IsNullOrEmpty(instructions)) messages.Add(Message("system", instructions));
        if (input is JsonValue value && value.TryGetValue<string>(out var text)) messages.Add(Message("user", text));
        else if (input is JsonArray { Count: > 0 } items)
            for (var i = 0; i < items.Count; i++) Add(messages, items[i] as JsonObject ?? throw Refusals.Invalid($"input[{i}]", "an item is a JSON object", "send {\"role\", \"content\"}"), $"input[{i}]");
        else throw Refusals.Invalid("input", "input is neither a text nor a list of items", "send \"input\": \"…\"");
        return messages;
    }

    private static void Add(JsonArray messages, JsonObject item, string path)
    {
        switch (item["type"]?.ToString() ?? "message")
        {
            case "message":
                messages.Add(new JsonObject { ["role"] = item["role"]?.DeepClone(), ["content"] = Content(item["content"], $"{path}.content") });
                break;
            case "function_call":
                var call = new JsonObject
                {
                    ["id"] = item["call_id"]?.DeepClone(),
                    ["type"] = "function",
                    ["function"] = new JsonObject { ["name"] = item["name"]?.DeepClone(), ["arguments"] = item["arguments"]?.DeepClone() },
                };
                // Calls made at once, or after some text, are one message.
                if (messages is [.., JsonObject last] && last["role"]?.ToString() == "assistant")
                    if (last["tool_calls"] is JsonArray calls) calls.Add(call);
                    else last["tool_calls"] = new JsonArray(call);
                else messages.Add(new JsonObject { ["role"] = "assistant", ["content"] = "", ["tool_calls"] = new JsonArray(call) });
                break;
            case "function_call_output":
                messages.Add(new JsonObject { ["role"] = "tool", ["tool_call_id"] = item["call_id"]?.DeepClone(), ["content"] = Content(item["output"], $"{path}.output") });
                break;
            case "reasoning":
                break;                                         // of an earlier turn: models are not shown it again
            default:
                throw Refusals.Invalid($"{path}.type", $"items of type {item["type"]} are not supported", "send messages, function_call and function_call_output");
        }
    }

    private static JsonNode? Content(JsonNode? content, string path)
    {
        if (content is not JsonArray parts) return content?.DeepClone();
        return new JsonArray([.. parts.Select((part, i) => part?["type"]?.ToString() is "input_text" or "output_text" or "text"
            ? new JsonObject { ["type"] = "text", ["text"] = part["text"]?.DeepClone() }
            : throw Refusals.Invalid($"{path}[{i}]", "only parts of text are supported", "send {\"type\": \"input_text\", \"text\": \"…\"}"))]);
    }

    private static JsonObject Message(string role, string content) => new() { ["role"] = role, ["content"] = content };
}
