using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Tool definitions, calls and results of one conversation. A malformed one is an error; a call without result, a result without call
/// and a call of something undeclared are warnings, since they can still be rendered.
/// </summary>
internal sealed class ToolCheck
{
    private readonly HashSet<string> _declared = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _open = new(StringComparer.Ordinal);      // id of a call without result yet → its message
    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
    private int _openWithoutId, _lastCalls = -1;
    private bool _declares;

    /// <param name="row">The object that holds <c>tools</c>.</param>
    public void Begin(JsonElement row, RowFindings findings)
    {
        _declared.Clear();
        _open.Clear();
        _seen.Clear();
        (_openWithoutId, _lastCalls, _declares) = (0, -1, false);
        if (row.Given("tools"u8) is { } tools) Definitions(tools, findings);
    }

    private void Definitions(JsonElement tools, RowFindings findings)
    {
        if (tools.ValueKind != JsonValueKind.Array)
        {
            findings.Error("tools", "tools-invalid", $"`tools` must be a list of function definitions but is {tools.Kind()}; write [{{\"type\": \"function\", \"function\": {{\"name\": …}}}}]");
            return;
        }
        _declares = true;
        var index = 0;
        foreach (var tool in tools.EnumerateArray())
        {
            var field = $"tools[{index++}]";
            if (tool.ValueKind != JsonValueKind.Object)
            {
                findings.Error(field, "tools-invalid", $"a tool must be an object but is {tool.Kind()}; write {{\"type\": \"function\", \"function\": {{\"name\": …}}}}");
                continue;
            }
            // The definition may stand in "function", as OpenAI writes it, or be the tool itself.
            var function = tool.Given("function"u8) is { } inner ? inner : tool;
            var path = tool.Given("function"u8) is null && tool.Property("name"u8) is not null ? field : $"{field}.function";
            if (function.ValueKind != JsonValueKind.Object) findings.Error(path, "tools-invalid", $"the definition must be an object but is {function.Kind()}");
            else if (function.Property("name"u8) is not { ValueKind: JsonValueKind.String } name || name.IsBlank()) findings.Error($"{path}.name", "tools-invalid", "the definition has no name; add \"name\"");
            else if (function.Given("parameters"u8) is { ValueKind: not JsonValueKind.Object } parameters) findings.Error($"{path}.parameters", "tools-invalid", $"parameters must be a JSON schema object but is {parameters.Kind()}");
            else _declared.Add(name.GetString()!);
        }
    }

    public void Calls(JsonElement calls, string list, int message, string? role, RowFindings findings)
    {
        var field = $"{list}[{message}].tool_calls";
        if (calls.ValueKind != JsonValueKind.Array)
        {
            findings.Error(field, "data-type", $"tool_calls must be a list but is {calls.Kind()}; write [{{\"id\": …, \"type\": \"function\", \"function\": …}}]");
            return;
        }
        if (role is not null and not "assistant")
        {
            findings.Error(field, "tool-call-invalid", $"a {role} message cannot call tools; move the call to an assistant message");
            return;
        }
        _lastCalls = message;
        var index = 0;
        foreach (var call in calls.EnumerateArray()) Call(call, $"{field}[{index++}]", message, findings);
    }

    private void Call(JsonElement call, string field, int message, RowFindings findings)
    {
        if (call.ValueKind != JsonValueKind.Object)
        {
            findings.Error(field, "tool-call-invalid", $"a call must be an object but is {call.Kind()}; write {{\"id\": …, \"type\": \"function\", \"function\": …}}");
            return;
        }
        if (call.Given("function"u8) is not { } function || function.ValueKind != JsonValueKind.Object)
        {
            findings.Error($"{field}.function", "tool-call-invalid", "the call has no function; add {\"name\": …, \"arguments\": …}");
            return;
        }
        if (function.Property("name"u8) is not { ValueKind: JsonValueKind.String } name || name.IsBlank())
        {
            findings.Error($"{field}.function.name", "tool-call-invalid", "the call names no function; add \"name\"");
            return;
        }
        if (!HoldsObject(function.Property("arguments"u8)))
        {
            findings.Error($"{field}.function.arguments", "tool-arguments-not-json", "arguments must hold a JSON object, as a string or as it is; write {} where there are none");
            return;
        }
        if (_declares && !_declared.Contains(name.GetString()!))
            findings.Warn($"{field}.function.name", "tool-undeclared", $"the function '{name.GetString()}' is not among `tools`; declare it there");
        if (call.Property("id"u8) is { ValueKind: JsonValueKind.String } id)
        {
            _open[id.GetString()!] = message;
            _seen.Add(id.GetString()!);
        }
        else
        {
            _openWithoutId++;
        }
    }

    public void Result(JsonElement? callId, string list, int message, RowFindings findings)
    {
        if (callId is not { ValueKind: JsonValueKind.String } given)
        {
            if (_openWithoutId > 0) _openWithoutId--;
            else if (_open.Count > 0) _open.Remove(_open.First().Key);
            else findings.Warn($"{list}[{message}].role", "tool-result-orphan", "no call stands before this result; add the call, or remove the result");
            return;
        }
        var id = given.GetString()!;
        if (_open.Remove(id) || _seen.Contains(id)) return;
        if (_openWithoutId > 0) _openWithoutId--;
        else findings.Warn($"{list}[{message}].tool_call_id", "tool-result-orphan", $"no call before has the id '{id}'; correct the id, or remove the result");
    }

    /// <summary>Calls of the last message need no answer: the call is what is learned.</summary>
    public void End(int messages, RowFindings findings)
    {
        foreach (var message in _open.Values.Distinct().Order())
            if (message < messages - 1) Unanswered(message);
        if (_open.Count == 0 && _openWithoutId > 0 && _lastCalls < messages - 1) Unanswered(_lastCalls);

        void Unanswered(int message) =>
            findings.Warn($"messages[{message}].tool_calls", "tool-call-unanswered", "no tool message answers this call; add its result, or remove the call");
    }

    private static bool HoldsObject(JsonElement? arguments)
    {
        if (arguments is not { } given) return false;
        if (given.ValueKind == JsonValueKind.Object) return true;
        if (given.ValueKind != JsonValueKind.String) return false;
        try
        {
            using var parsed = JsonDocument.Parse(given.GetString()!, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return parsed.RootElement.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
