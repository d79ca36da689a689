using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Shared;

namespace TokenMill.Serving.ToolCalls;

/// <summary>Tools for models whose chat template knows none: told in the system message, with calls and results as text of the conversation.</summary>
internal static class ToolPrompt
{
    public static JsonArray AddTo(JsonArray messages, IReadOnlyList<Tool> tools)
    {
        var told = new JsonArray([.. messages.Select(m => AsText((JsonObject)m!))]);
        if (tools.Count == 0) return told;
        var text = new StringBuilder("You can call these functions:\n");
        foreach (var tool in tools) text.Append(tool.ToJson()["function"]!.ToJsonString(Json.Options)).Append('\n');
        text.Append("To call one, answer with its name and arguments as JSON between these marks:\n")
            .Append(ToolFormat.Hermes.Start).Append("\n{\"name\": \"…\", \"arguments\": {…}}\n").Append(ToolFormat.Hermes.End);
        if (told is [JsonObject first, ..] && first["role"]!.ToString() == "system") first["content"] = $"{first["content"]}\n\n{text}";
        else told.Insert(0, new JsonObject { ["role"] = "system", ["content"] = text.ToString() });
        return told;
    }

    private static JsonObject AsText(JsonObject message)
    {
        if (message["role"]!.ToString() == "tool") return new JsonObject { ["role"] = "user", ["content"] = $"<tool_response>\n{message["content"]}\n</tool_response>" };
        if (message["tool_calls"] is not JsonArray { Count: > 0 } calls) return (JsonObject)message.DeepClone();
        var texts = calls.Select(c => $"{ToolFormat.Hermes.Start}\n{{\"name\": {c!["function"]!["name"]!.ToJsonString()}, \"arguments\": {c["function"]!["arguments"]}}}\n{ToolFormat.Hermes.End}");
        return new JsonObject { ["role"] = "assistant", ["content"] = string.Join('\n', texts.Prepend(message["content"]?.ToString() ?? "").Where(t => t.Length > 0)) };
    }
}
