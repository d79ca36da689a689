using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Judges single messages {"role","content",…} of whatever list they stand in; their text goes into <paramref name="text"/>.</summary>
internal sealed class MessageCheck(ContentCheck content, ToolCheck tools, RowText text)
{
    private static readonly string[] Roles = ["system", "user", "assistant", "tool"];
    private static readonly Dictionary<string, string> OtherNames = new(StringComparer.OrdinalIgnoreCase)
    {
        ["human"] = "user", ["prompter"] = "user", ["customer"] = "user",
        ["gpt"] = "assistant", ["bot"] = "assistant", ["model"] = "assistant", ["ai"] = "assistant", ["chatgpt"] = "assistant",
        ["developer"] = "system", ["function"] = "tool", ["observation"] = "tool", ["ipython"] = "tool",
    };

    /// <summary>The role, or null where the message has none that is known.</summary>
    /// <param name="list">Name of the list, for the paths.</param>
    /// <param name="previous">Role of the message before; null for the first.</param>
    /// <param name="learned">False for weight 0: the message is read but not learned.</param>
    public string? Check(JsonElement message, string list, int index, string? previous, RowFindings findings, out bool learned)
    {
        learned = true;
        if (message.ValueKind != JsonValueKind.Object)
        {
            findings.Error($"{list}[{index}]", "data-type", $"a message must be an object but is {message.Kind()}; write {{\"role\": …, \"content\": …}}");
            return null;
        }
        JsonElement? roleValue = null, contentValue = null, weight = null, calls = null, callId = null;
        foreach (var property in message.EnumerateObject())
        {
            if (property.NameEquals("role"u8)) roleValue = property.Value;
            else if (property.NameEquals("content"u8)) contentValue = property.Value;
            else if (property.NameEquals("weight"u8)) weight = property.Value;
            else if (property.NameEquals("tool_calls"u8)) calls = property.Value;
            else if (property.NameEquals("tool_call_id"u8)) callId = property.Value;
            else if (!property.NameEquals("name"u8) && !property.NameEquals("reasoning_content"u8) && !property.NameEquals("refusal"u8))
                findings.Warn($"{list}[{index}].{property.Name}", "message-unrecognized-key", $"the key '{property.Name}' is not known in a message and is ignored; remove it");
        }
        var start = text.Length;
        var role = Role(roleValue, new FieldPath(list, index, "role"), findings);
        var hasCalls = calls switch
        {
            null or { ValueKind: JsonValueKind.Null } => false,
            { ValueKind: JsonValueKind.Array } given => given.GetArrayLength() > 0,
            _ => true,
        };
        Content(contentValue, role, new FieldPath(list, index, "content"), hasCalls, findings);
        if (weight is { ValueKind: not JsonValueKind.Null } number) learned = Weight(number, role, new FieldPath(list, index, "weight"), findings);
        if (hasCalls) tools.Calls(calls!.Value, list, index, role, findings);
        if (role == "tool") tools.Result(callId, list, index, findings);
        if (role is not null) Order(role, previous, new FieldPath(list, index, "role"), findings);
        if (role == "assistant") text.EndPrompt();
        text.EndMessage(role, start);
        return role;
    }

    private static string? Role(JsonElement? value, in FieldPath field, RowFindings findings)
    {
        if (value is not { ValueKind: not JsonValueKind.Null } given)
        {
            findings.Error(field, "message-missing-key", "the role is missing; write system, user, assistant or tool");
            return null;
        }
        if (given.ValueKind != JsonValueKind.String)
        {
            findings.Error(field, "data-type", $"the role must be a string but is {given.Kind()}; write system, user, assistant or tool");
            return null;
        }
        foreach (var known in Roles)
            if (given.ValueEquals(known)) return known;
        var role = given.GetString()!;
        var meant = Roles.FirstOrDefault(r => r.Equals(role.Trim(), StringComparison.OrdinalIgnoreCase)) ?? OtherNames.GetValueOrDefault(role.Trim());
        findings.Error(field, "unrecognized-role", role.Length == 0 ? "the role is empty; allowed are system, user, assistant, tool"
            : meant is null ? $"the role '{Shorten(role)}' is not known; allowed are system, user, assistant, tool"
            : meant == role.ToLowerInvariant() ? $"roles are written in small letters: write '{meant}' instead of '{role}'"
            : $"the role '{role}' is not known; allowed are system, user, assistant, tool: write '{meant}'");
        return null;
    }

    private void Content(JsonElement? value, string? role, in FieldPath field, bool hasCalls, RowFindings findings)
    {
        var (start, mayBeEmpty) = (text.Length, role is null or "system" or "tool" || role == "assistant" && hasCalls);
        switch (value)
        {
            case null or { ValueKind: JsonValueKind.Null }:
                if (role is not null && !(role == "assistant" && hasCalls))
                    findings.Error(field, "missing-content", $"content is {(value is null ? "missing" : "null")}; a message needs text (only an assistant message with tool_calls may go without)");
                return;
            case { ValueKind: JsonValueKind.String } given:
                text.Append(given);
                if (!mayBeEmpty && given.IsBlank()) Blank(given.ValueEquals("") ? "content is empty" : $"content is only white space ({WhiteSpace(text.From(start))})", field);
                break;
            case { ValueKind: JsonValueKind.Array } parts:
                if (!Parts(parts, field, findings)) return;
                if (parts.GetArrayLength() == 0 && role is not "system" and not "tool") Blank("the list of parts is empty", field);
                else if (!mayBeEmpty && text.From(start).IsWhiteSpace()) Blank("the parts hold only white space", field);
                break;
            case { } other:
                findings.Error(field, "data-type", $"content must be a string but is {other.Kind()}; write the text as a string");
                return;
        }
        if (role == "system" && text.From(start).IsWhiteSpace()) findings.Warn(field, "empty-system", "the system message is empty; remove it");
        content.Check(text.From(start), field, findings);

        void Blank(string what, string path) => findings.Error(path, "missing-content", role == "assistant" ? $"{what}: nothing to learn; write the answer, or remove the row" : $"{what}; write the text, or remove the row");
    }

    private bool Parts(JsonElement parts, in FieldPath field, RowFindings findings)
    {
        var index = 0;
        foreach (var value in parts.EnumerateArray())
        {
            if (value.ValueKind != JsonValueKind.Object)
            {
                findings.Error($"{field}[{index}]", "data-type", $"a part of the content must be an object but is {value.Kind()}; write {{\"type\": \"text\", \"text\": …}}");
                return false;
            }
            if (value.Property("type"u8) is not { ValueKind: JsonValueKind.String } type || !type.ValueEquals("text"u8))
            {
                findings.Error($"{field}[{index}].type", "unsupported-content-part", "only text parts can be trained on; remove the other parts, or the row");
                return false;
            }
            if (value.Given("text"u8) is not { } part)
            {
                findings.Error($"{field}[{index}].text", "missing-content", "the part has no text; write \"text\": \"…\"");
                return false;
            }
            if (part.ValueKind != JsonValueKind.String)
            {
                findings.Error($"{field}[{index}].text", "data-type", $"the text of a part must be a string but is {part.Kind()}");
                return false;
            }
            text.Append(part);
            index++;
        }
        return true;
    }

    private static bool Weight(JsonElement value, string? role, in FieldPath field, RowFindings findings)
    {
        if (role is not null and not "assistant")
        {
            findings.Warn(field, "weight-ignored", "weight counts on assistant messages only; remove it");
            return true;
        }
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var weight) && weight is 0 or 1) return weight == 1;
        findings.Error(field, "invalid-weight", $"weight is the number 0 or 1, not {Shorten(value.GetRawText())}; write 0 to read the message without learning it, else 1");
        return true;
    }

    private static void Order(string role, string? previous, in FieldPath field, RowFindings findings)
    {
        if (role == "system" && previous is not null) findings.Warn(field, "system-not-first", "a system message after the first place: many templates drop or refuse it; put it first");
        else if (role == "assistant" && (previous is null || previous == "system" && field.Index == 1)) findings.Warn(field, "starts-with-assistant", "the conversation begins with the assistant, and many templates refuse that; begin with the user's message");
        else if (role == previous && (role is "user" or "assistant")) findings.Warn(field, "consecutive-same-role", $"two {role} messages in a row; join them");
    }

    /// <summary>The characters of a blank text by their numbers, since they cannot be seen.</summary>
    private static string WhiteSpace(ReadOnlySpan<char> blank)
    {
        var names = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var c in blank) names.Add($"U+{(int)c:X4}");
        return string.Join(", ", names.Take(4));
    }

    public static string Shorten(string text) => text.Length <= 40 ? text : string.Concat(text.AsSpan(0, 40), "…");
}
