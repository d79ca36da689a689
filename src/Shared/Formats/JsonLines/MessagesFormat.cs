using System.Buffers;
using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Rows of the form <c>{"messages":[{"role","content",…}],"tools":[…]}</c>. Errors are what cannot be learned from;
/// odd order and unknown keys are warnings. Faults inside messages come before those of the row as a whole, so that one fault is said once.
/// </summary>
internal sealed class MessagesFormat(ContentCheck content, int contextTokens) : IRowFormat
{
    private static readonly string[] Roles = ["system", "user", "assistant", "tool"];
    private static readonly Dictionary<string, string> OtherNames = new(StringComparer.OrdinalIgnoreCase)
    {
        ["human"] = "user", ["prompter"] = "user", ["customer"] = "user",
        ["gpt"] = "assistant", ["bot"] = "assistant", ["model"] = "assistant", ["ai"] = "assistant", ["chatgpt"] = "assistant",
        ["developer"] = "system", ["function"] = "tool", ["observation"] = "tool", ["ipython"] = "tool",
    };

    private readonly ToolCheck _tools = new();
    private readonly ArrayBufferWriter<char> _text = new(1024);
    private ulong _loose, _prompt;

    public ReadOnlySpan<char> Text => _text.WrittenSpan;

    public RowKeys Keys(ulong row) => new(row, _loose, _prompt);

    public void Check(JsonElement row, RowFindings findings)
    {
        _text.ResetWrittenCount();
        (_loose, _prompt) = (0, 0);
        if (row.ValueKind != JsonValueKind.Object)
        {
            findings.Error(null, "data-type", $"a row must be an object, this one is {row.Kind()}; write {{\"messages\": […]}}");
            return;
        }
        if (List(row, findings) is not { } messages) return;
        _tools.Begin(row, findings);
        int index = 0, assistants = 0, learned = 0, calls = 0, longest = 0, longestAt = 0, tokens = 0;
        string? previous = null;
        foreach (var message in messages.EnumerateArray())
        {
            var start = _text.WrittenCount;
            var role = Message(message, index, previous, findings, out var weight, out var hasCalls);
            var length = TokenEstimate.AtLeast(_text.WrittenSpan[start..]);
            tokens += length;
            if (length > longest) (longest, longestAt) = (length, index);
            if (role == "assistant")
            {
                _prompt = _loose;
                assistants++;
                if (weight) learned++;
                if (hasCalls) calls++;
            }
            Loosen(role, _text.WrittenSpan[start..]);
            previous = role ?? "";
            index++;
        }
        if (findings.HasErrors) return;
        if (assistants == 0) findings.Error("messages", "example-missing-assistant-message", "there is no assistant message to learn from; add the answer, or remove the row");
        else if (learned == 0) findings.Error("messages", "empty-supervision", "every assistant message has weight 0, so nothing is learned from this row; set a weight to 1, or remove the row");
        if (findings.HasErrors) return;
        if (previous == "user") findings.Warn($"messages[{index - 1}].role", "ends-with-user", "the last user message has no answer and is not learned from; add the answer, or remove the message");
        _tools.End(index, findings);
        if (tokens > contextTokens)
            findings.Warn(longest > contextTokens ? $"messages[{longestAt}].content" : "messages", "too-long",
                $"{index:N0} messages with {_text.WrittenCount:N0} characters are more than {contextTokens:N0} tokens with any tokenizer; what exceeds the model's context is cut or left out in training, so split the row");
    }

    /// <summary>Takes a message into the hash that white space does not change.</summary>
    private void Loosen(string? role, ReadOnlySpan<char> text)
    {
        var hash = StableHash.Fold(_loose, (ulong)(role?.Length ?? 0));     // the lengths of the four roles differ, but for user and tool
        if (role == "tool") hash = StableHash.Mix(hash);
        foreach (var c in text)
            if (!char.IsWhiteSpace(c)) hash = StableHash.Fold(hash, c);
        _loose = StableHash.Mix(hash);
    }

    private static JsonElement? List(JsonElement row, RowFindings findings)
    {
        if (row.Property("messages"u8) is not { } messages)
        {
            findings.Error("messages", "missing-messages-list", RowShape.WhyNoMessages(row));
            return null;
        }
        switch (messages.ValueKind)
        {
            case JsonValueKind.Array when messages.GetArrayLength() > 0:
                return messages;
            case JsonValueKind.Array:
                findings.Error("messages", "missing-messages-list", "the list of messages is empty; fill it, or remove the row");
                return null;
            case JsonValueKind.Null:
                findings.Error("messages", "missing-messages-list", "`messages` is null; write a list of messages, or remove the row");
                return null;
            case JsonValueKind.String:
                findings.Error("messages", "data-type", messages.GetString()!.AsSpan().TrimStart() is ['[', ..]
                    ? "`messages` must be a list but is a string that holds JSON: it was encoded twice; write the list itself"
                    : "`messages` must be a list but is a string; write [{\"role\": …, \"content\": …}]");
                return null;
            default:
                findings.Error("messages", "data-type", $"`messages` must be a list but is {messages.Kind()}; write [{{\"role\": …, \"content\": …}}]");
                return null;
        }
    }

    /// <summary>The role, or null where the message has none that is known.</summary>
    private string? Message(JsonElement message, int index, string? previous, RowFindings findings, out bool weight, out bool hasCalls)
    {
        (weight, hasCalls) = (true, false);
        if (message.ValueKind != JsonValueKind.Object)
        {
            findings.Error($"messages[{index}]", "data-type", $"a message must be an object but is {message.Kind()}; write {{\"role\": …, \"content\": …}}");
            return null;
        }
        JsonElement? roleValue = null, contentValue = null, weightValue = null, callsValue = null, callId = null;
        foreach (var property in message.EnumerateObject())
        {
            if (property.NameEquals("role"u8)) roleValue = property.Value;
            else if (property.NameEquals("content"u8)) contentValue = property.Value;
            else if (property.NameEquals("weight"u8)) weightValue = property.Value;
            else if (property.NameEquals("tool_calls"u8)) callsValue = property.Value;
            else if (property.NameEquals("tool_call_id"u8)) callId = property.Value;
            else if (!property.NameEquals("name"u8) && !property.NameEquals("reasoning_content"u8) && !property.NameEquals("refusal"u8))
                findings.Warn($"messages[{index}].{property.Name}", "message-unrecognized-key", $"the key '{property.Name}' is not known in a message and is ignored; remove it");
        }
        var role = Role(roleValue, index, findings);
        hasCalls = callsValue is { ValueKind: not JsonValueKind.Null } and not { ValueKind: JsonValueKind.Array } || callsValue is { ValueKind: JsonValueKind.Array } list && list.GetArrayLength() > 0;
        Content(contentValue, role, index, optional: role is null or "system" or "tool" || role == "assistant" && hasCalls, findings);
        if (weightValue is { } w) weight = Weight(w, role, index, findings);
        if (hasCalls && callsValue is { } calls) _tools.Calls(calls, index, role, findings);
        if (role == "tool") _tools.Result(callId, index, findings);
        if (role is not null) Order(role, previous, index, findings);
        return role;
    }

    private static string? Role(JsonElement? value, int index, RowFindings findings)
    {
        var field = new FieldPath("messages", index, "role");
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
            : meant == role.ToLowerInvariant() ? $"roles are written in small letters: write '{meant}' instead of '{role}'"
            : meant is not null ? $"the role '{role}' is not known; allowed are system, user, assistant, tool: write '{meant}'"
            : $"the role '{Shorten(role)}' is not known; allowed are system, user, assistant, tool");
        return null;
    }

    private void Content(JsonElement? value, string? role, int index, bool optional, RowFindings findings)
    {
        var field = new FieldPath("messages", index, "content");
        var start = _text.WrittenCount;
        switch (value)
        {
            case null or { ValueKind: JsonValueKind.Null }:
                if (!optional || role == "system" || role == "tool")
                    findings.Error(field, "missing-content", $"content is {(value is null ? "missing" : "null")}; a message needs text (only an assistant message with tool_calls may go without)");
                return;
            case { ValueKind: JsonValueKind.String } text:
                text.AppendTo(_text);
                if (!optional && text.IsBlank()) Blank(text.ValueEquals("") ? "content is empty" : "content is only white space");
                break;
            case { ValueKind: JsonValueKind.Array } parts:
                if (!Parts(parts, index, findings)) return;
                if (parts.GetArrayLength() == 0 && role != "system" && role != "tool") Blank("the list of parts is empty");
                else if (!optional && _text.WrittenSpan[start..].IsWhiteSpace()) Blank("the parts hold only white space");
                break;
            case { } other:
                findings.Error(field, "data-type", $"content must be a string but is {other.Kind()}; write the text as a string");
                return;
        }
        var written = _text.WrittenSpan[start..];
        if (role == "system" && written.IsWhiteSpace()) findings.Warn(field, "empty-system", "the system message is empty; remove it");
        content.Check(written, field, findings);

        void Blank(string what) => findings.Error(field, "missing-content", role == "assistant" ? $"{what}: nothing to learn; write the answer, or remove the row" : $"{what}; write the text, or remove the row");
    }

    private bool Parts(JsonElement parts, int index, RowFindings findings)
    {
        var part = 0;
        foreach (var value in parts.EnumerateArray())
        {
            var field = $"messages[{index}].content[{part++}]";
            if (value.ValueKind != JsonValueKind.Object)
            {
                findings.Error(field, "data-type", $"a part of the content must be an object but is {value.Kind()}; write {{\"type\": \"text\", \"text\": …}}");
                return false;
            }
            if (value.Property("type"u8) is not { ValueKind: JsonValueKind.String } type || !type.ValueEquals("text"u8))
            {
                findings.Error($"{field}.type", "unsupported-content-part", "only text parts can be trained on; remove the other parts, or the row");
                return false;
            }
            if (value.Property("text"u8) is not { ValueKind: JsonValueKind.String } text)
            {
                findings.Error($"{field}.text", "missing-content", "the part has no text; write \"text\": \"…\"");
                return false;
            }
            text.AppendTo(_text);
        }
        return true;
    }

    /// <summary>False for weight 0: the message is read but not learned.</summary>
    private static bool Weight(JsonElement value, string? role, int index, RowFindings findings)
    {
        var field = new FieldPath("messages", index, "weight");
        if (role is not null and not "assistant")
        {
            findings.Warn(field, "weight-ignored", "weight counts on assistant messages only; remove it");
            return true;
        }
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var weight) && weight is 0 or 1) return weight == 1;
        findings.Error(field, "invalid-weight", $"weight is the number 0 or 1, not {Shorten(value.GetRawText())}; write 0 to read the message without learning it, else 1");
        return true;
    }

    private static void Order(string role, string? previous, int index, RowFindings findings)
    {
        var field = new FieldPath("messages", index, "role");
        if (role == "system" && index > 0) findings.Warn(field, "system-not-first", "a system message after the first place: many templates drop or refuse it; put it first");
        else if (role == "assistant" && (previous is null or "system")) findings.Warn(field, "starts-with-assistant", "the conversation begins with the assistant, and many templates refuse that; begin with the user's message");
        else if (role == previous && (role is "user" or "assistant")) findings.Warn(field, "consecutive-same-role", $"two {role} messages in a row; join them");
    }

    private static string Shorten(string text) => text.Length <= 40 ? text : string.Concat(text.AsSpan(0, 40), "…");
}
