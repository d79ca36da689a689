using System.Text.Json.Nodes;

namespace TokenMill.Serving.OpenAi;

/// <summary>Checks the messages of a request and brings them into the form that chat templates read: content as one text.</summary>
internal static class ChatMessages
{
    private static readonly string[] Roles = ["system", "developer", "user", "assistant", "tool"];

    public static JsonArray Check(JsonArray messages)
    {
        if (messages.Count == 0) throw Refusals.Invalid("messages", "there are no messages", "send at least one");
        var result = new JsonArray();
        for (var i = 0; i < messages.Count; i++)
        {
            if (messages[i] is not JsonObject message) throw Refusals.Invalid($"messages[{i}]", "a message is a JSON object", "send {\"role\", \"content\"}");
            if (message["role"] is not JsonValue role || !role.TryGetValue<string>(out var name) || !Roles.Contains(name))
                throw Refusals.Invalid($"messages[{i}].role", $"a role is one of {string.Join(", ", Roles)}");
            var copy = (JsonObject)message.DeepClone();
            if (name == "developer") copy["role"] = "system";  // its newer name
            if (!(name == "assistant" && message["content"] is null && message["tool_calls"] is JsonArray)) copy["content"] = Text(message["content"], i);
            CheckCalls(message["tool_calls"], $"messages[{i}].tool_calls");
            result.Add(copy);
        }
        return result;
    }

    private static void CheckCalls(JsonNode? calls, string path)
    {
        if (calls is null) return;
        if (calls is not JsonArray list) throw Refusals.Invalid(path, "tool_calls is a list", "send [{\"id\", \"type\", \"function\": {\"name\", \"arguments\"}}]");
        for (var i = 0; i < list.Count; i++)
        {
            if (list[i] is not JsonObject call || call["function"] is not JsonObject function || !IsText(function["name"]))
                throw Refusals.Invalid($"{path}[{i}].function", "a call names its function", "send {\"name\", \"arguments\"}");
            if (!IsText(function["arguments"])) throw Refusals.Invalid($"{path}[{i}].function.arguments", "arguments are JSON as a text", "send \"arguments\": \"{}\"");
        }

        static bool IsText(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out _);
    }

    private static string Text(JsonNode? content, int index)
    {
        if (content is JsonValue value && value.TryGetValue<string>(out var text)) return text;
        if (content is not JsonArray parts) throw Refusals.Invalid($"messages[{index}].content", "content is neither a text nor a list of parts", "send \"content\": \"…\"");
        return string.Concat(parts.Select((part, i) =>
            part is JsonObject && part["type"]?.ToString() == "text" && part["text"] is JsonValue t && t.TryGetValue<string>(out var piece)
                ? piece
                : throw Refusals.Invalid($"messages[{index}].content[{i}]", "only parts of type text are supported", "send {\"type\": \"text\", \"text\": \"…\"}")));
    }
}
