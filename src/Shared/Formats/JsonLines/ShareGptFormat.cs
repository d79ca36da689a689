using System.Buffers;
using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Rows {"conversations":[{"from","value"}],"system","tools"}: from is human, gpt, system, function_call (a JSON object of name and arguments)
/// or observation; tools is a list of definitions or a string that holds one.
/// </summary>
internal sealed class ShareGptFormat(ContentCheck content) : IRowFormat
{
    private const string Allowed = "allowed are human, gpt, system, function_call, observation";
    private readonly ToolCheck _tools = new();

    public RowText Text { get; } = new();

    public void Check(JsonElement row, RowFindings findings)
    {
        if (row.ValueKind != JsonValueKind.Object)
        {
            findings.Error(null, "data-type", $"a row must be an object, this one is {row.Kind()}; write {{\"conversations\": […]}}");
            return;
        }
        if (List(row, findings) is not { } turns) return;
        if (row.Given("system"u8) is { } system)
        {
            if (system.ValueKind != JsonValueKind.String) findings.Error("system", "data-type", $"system must be a string but is {system.Kind()}");
            else Take(system, "system", "system", findings);
        }
        using (var tools = Tools(row, findings))
            if (tools is not null) _tools.Begin(tools.RootElement, findings);
        var (index, learned) = (0, 0);
        string? previous = null;
        foreach (var turn in turns.EnumerateArray())
        {
            var role = Turn(turn, index, previous, findings);
            if (role is "assistant" or "call") learned++;
            previous = role ?? "";
            index++;
        }
        if (findings.HasErrors) return;
        if (learned == 0) findings.Error("conversations", "example-missing-assistant-message", "there is no gpt turn to learn from; add the answer, or remove the row");
        else if (previous == "user") findings.Warn($"conversations[{index - 1}].from", "ends-with-user", "the last turn has no answer and is not learned from; add the answer, or remove the turn");
    }

    public bool Rewrite(JsonElement row, IBufferWriter<byte> target)
    {
        using var conversation = new ConversationWriter(target);
        if (row.Given("system"u8) is { } system && !system.IsBlank()) conversation.Message("system", system.GetString()!);
        var calls = 0;
        foreach (var turn in row.GetProperty("conversations").EnumerateArray())
        {
            var value = turn.GetProperty("value").GetString()!;
            switch (Role(turn.GetProperty("from").GetString()!))
            {
                case "call":
                    using (var call = JsonDocument.Parse(value)) conversation.Call($"call_{++calls}", call.RootElement.GetProperty("name").GetString()!, call.RootElement.GetProperty("arguments"));
                    break;
                case "tool":
                    conversation.Result($"call_{calls}", value);
                    break;
                case { } role:
                    conversation.Message(role, value);
                    break;
            }
        }
        if (row.Given("tools"u8) is { } tools && !(tools.ValueKind == JsonValueKind.String && tools.IsBlank()))
            using (var list = tools.ValueKind == JsonValueKind.String ? JsonDocument.Parse(tools.GetString()!) : null) conversation.Tools(list?.RootElement ?? tools);
        return true;
    }

    private static JsonElement? List(JsonElement row, RowFindings findings)
    {
        var turns = row.Property("conversations"u8);
        if (turns is { ValueKind: JsonValueKind.Array } list && list.GetArrayLength() > 0) return list;
        if (turns is { ValueKind: not JsonValueKind.Array and not JsonValueKind.Null } other)
        {
            findings.Error("conversations", "data-type", $"`conversations` must be a list but is {other.Kind()}; write [{{\"from\": …, \"value\": …}}]");
            return null;
        }
        var near = row.EnumerateObject().Select(p => p.Name).FirstOrDefault(n => n.Trim().TrimEnd('s').Equals("conversation", StringComparison.OrdinalIgnoreCase) && n != "conversations");
        findings.Error("conversations", "missing-messages-list", turns is { ValueKind: JsonValueKind.Array } ? "the list of turns is empty; fill it, or remove the row"
            : near is not null ? $"there is `{near}`; the key is `conversations`: rename it"
            : "there is no `conversations`; write [{\"from\": …, \"value\": …}]");
        return null;
    }

    private string? Turn(JsonElement turn, int index, string? previous, RowFindings findings)
    {
        var from = new FieldPath("conversations", index, "from");
        var value = new FieldPath("conversations", index, "value");
        if (turn.ValueKind != JsonValueKind.Object)
        {
            findings.Error($"conversations[{index}]", "data-type", $"a turn must be an object but is {turn.Kind()}; write {{\"from\": …, \"value\": …}}");
            return null;
        }
        string? role = null;
        if (turn.Given("from"u8) is not { } speaker) findings.Error(from, "message-missing-key", $"from is missing; {Allowed}");
        else if (speaker.ValueKind != JsonValueKind.String) findings.Error(from, "data-type", $"from must be a string but is {speaker.Kind()}; {Allowed}");
        else if ((role = Role(speaker.GetString()!)) is null) findings.Error(from, "unrecognized-role", $"'{MessageCheck.Shorten(speaker.GetString()!)}' is not known; {Allowed}");

        if (turn.Given("value"u8) is not { } text)
            findings.Error(value, "missing-content", turn.Property("value"u8) is not null ? "value is null; write the text, or remove the row"
                : turn.EnumerateObject().Select(p => p.Name).FirstOrDefault(n => n is "text" or "content") is { } near ? $"there is `{near}`; the key is `value`: rename it"
                : "value is missing; write the text");
        else if (text.ValueKind != JsonValueKind.String) findings.Error(value, "data-type", $"value must be a string but is {text.Kind()}");
        else if (text.IsBlank() && role != "tool") findings.Error(value, "missing-content", "value is empty; write the text, or remove the row");
        else if (role == "call" && !IsCall(text.GetString()!)) findings.Error(value, "tool-arguments-not-json", "a function_call must hold JSON with name and arguments, {\"name\": …, \"arguments\": {…}}");
        else Take(text, value, role is "call" ? "assistant" : role, findings);

        if (role == "assistant" && (previous is null or "system")) findings.Warn(from, "starts-with-assistant", "the conversation begins with gpt, and many templates refuse that; begin with the human");
        else if (role == previous && (role is "user" or "assistant")) findings.Warn(from, "consecutive-same-role", $"two {(role == "user" ? "human" : "gpt")} turns in a row; join them");
        return role;
    }

    private void Take(JsonElement text, in FieldPath field, string? role, RowFindings findings)
    {
        var start = Text.Length;
        if (role == "assistant") Text.EndPrompt();
        Text.Append(text);
        content.Check(Text.From(start), field, findings);
        Text.EndMessage(role, start);
    }

    private static JsonDocument? Tools(JsonElement row, RowFindings findings)
    {
        if (row.Given("tools"u8) is not { } tools || tools.ValueKind == JsonValueKind.String && tools.IsBlank()) return null;
        try
        {
            var text = tools.ValueKind == JsonValueKind.String ? tools.GetString()! : tools.GetRawText();
            var wrapped = JsonDocument.Parse($"{{\"tools\":{text}}}", new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = StrictJson.MaxDepth + 1 });
            if (wrapped.RootElement.GetProperty("tools").ValueKind == JsonValueKind.Array) return wrapped;
            wrapped.Dispose();
        }
        catch (JsonException)
        {
            // Said below.
        }
        findings.Error("tools", "tools-invalid", "tools must hold a JSON list of function definitions; write [{\"name\": …}]");
        return null;
    }

    private static bool IsCall(string text)
    {
        try
        {
            using var call = JsonDocument.Parse(text, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return call.RootElement.Property("name"u8) is { ValueKind: JsonValueKind.String } && call.RootElement.Property("arguments"u8) is { ValueKind: JsonValueKind.Object };
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static string? Role(string from) => from switch
    {
        "human" or "user" => "user",
        "gpt" or "assistant" => "assistant",
        "system" => "system",
        "function_call" => "call",
        "observation" or "tool" => "tool",
        _ => null,
    };
}
