using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using TokenMill.Serving.ToolCalls;

namespace TokenMill.Serving.OpenAi;

/// <summary>Checks <c>tools</c> and <c>tool_choice</c> of a request.</summary>
internal static partial class ToolRequest
{
    private const int MaxTools = 128;

    public static ToolChoice Read(JsonArray? tools, JsonNode? choice, bool? parallel)
    {
        if (tools is not { Count: > 0 })
            return choice is null || choice.ToString() is "none" or "auto" ? ToolChoice.None : throw Refusals.Invalid("tool_choice", "tool_choice without tools", "send the tools too");
        if (tools.Count > MaxTools) throw Refusals.Invalid("tools", $"there are {tools.Count} tools", $"give at most {MaxTools}");
        var all = tools.Select((t, i) => One(t, $"tools[{i}]")).ToList();
        if (all.GroupBy(t => t.Name).FirstOrDefault(g => g.Count() > 1) is { } twice) throw Refusals.Invalid("tools", $"two tools are called '{twice.Key}'", "give each a name of its own");
        var isParallel = parallel ?? true;
        switch (choice)
        {
            case null:
            case JsonValue auto when auto.ToString() == "auto":
                return new ToolChoice(all, MustCall: false, isParallel);
            case JsonValue none when none.ToString() == "none":
                return ToolChoice.None;
            case JsonValue required when required.ToString() == "required":
                return new ToolChoice(all, MustCall: true, isParallel);
            case JsonObject named when named["type"]?.ToString() == "function":
                var name = (named["function"] as JsonObject ?? named)["name"]?.ToString();
                var tool = all.Find(t => t.Name == name) ?? throw Refusals.Invalid("tool_choice", $"there is no tool '{name}'", $"choose one of {string.Join(", ", all.Select(t => t.Name))}");
                return new ToolChoice([tool], MustCall: true, Parallel: false);
            default:
                throw Refusals.Invalid("tool_choice", "tool_choice is unknown", "it is none, auto, required or {\"type\": \"function\", \"function\": {\"name\"}}");
        }
    }

    /// <summary>The function may stand in a member of its own, as in chat requests, or in the tool itself, as in responses.</summary>
    private static Tool One(JsonNode? node, string path)
    {
        if (node is not JsonObject tool) throw Refusals.Invalid(path, "a tool is a JSON object", "send {\"type\": \"function\", \"function\": {…}}");
        if (tool["type"]?.ToString() != "function") throw Refusals.Invalid($"{path}.type", "only tools of type function are supported", "send {\"type\": \"function\", \"function\": {…}}");
        var (function, at) = tool["function"] is JsonObject inner ? (inner, $"{path}.function") : (tool, path);
        if (function["name"] is not JsonValue value || !value.TryGetValue<string>(out var name) || !ToolName.IsMatch(name)) throw Refusals.Invalid($"{at}.name", "a name is 1 to 64 letters, digits, '_' and '-'", "give the function such a name");
        if (function["parameters"] is not (null or JsonObject)) throw Refusals.Invalid($"{at}.parameters", "parameters are a JSON schema", "send {\"type\": \"object\", \"properties\": {…}}");
        return new Tool(name, function["description"]?.ToString(), function["parameters"] as JsonObject, function["strict"] is JsonValue strict && strict.TryGetValue<bool>(out var told) && told, at);
    }

    [GeneratedRegex(@"^[a-zA-Z0-9_-]{1,64}\z")]
    private static partial Regex ToolName { get; }
}
