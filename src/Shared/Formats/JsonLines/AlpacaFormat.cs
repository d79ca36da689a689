using System.Buffers;
using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Rows {"instruction","input","output","system","history":[[question, answer],…]}: the question is instruction and input on lines of their own;
/// the answers of the history are learned too. Null in an optional field is the same as leaving it out.
/// </summary>
internal sealed class AlpacaFormat(ContentCheck content) : IRowFormat
{
    public RowText Text { get; } = new();

    public void Check(JsonElement row, RowFindings findings)
    {
        if (row.ValueKind != JsonValueKind.Object)
        {
            findings.Error(null, "data-type", $"a row must be an object, this one is {row.Kind()}; write {{\"instruction\": …, \"output\": …}}");
            return;
        }
        Take(row.Given("system"u8), "system", "system", required: false, findings);
        History(row, findings);
        Take(row.Property("instruction"u8), "instruction", "user", required: true, findings);
        Take(row.Given("input"u8), "input", "user", required: false, findings);
        Text.EndPrompt();
        Take(row.Property("output"u8), "output", "assistant", required: true, findings);
    }

    public bool Rewrite(JsonElement row, IBufferWriter<byte> target)
    {
        using var conversation = new ConversationWriter(target);
        if (row.Given("system"u8) is { } system && !system.IsBlank()) conversation.Message("system", system.GetString()!);
        if (row.Given("history"u8) is { } history)
            foreach (var pair in history.EnumerateArray())
            {
                conversation.Message("user", pair[0].GetString()!);
                conversation.Message("assistant", pair[1].GetString()!);
            }
        var input = row.Given("input"u8)?.GetString();
        conversation.Message("user", row.GetProperty("instruction").GetString() + (string.IsNullOrEmpty(input) ? "" : "\n" + input));
        conversation.Message("assistant", row.GetProperty("output").GetString()!);
        return true;
    }

    private void Take(JsonElement? value, string key, string role, bool required, RowFindings findings)
    {
        if (value is not { } text)
        {
            if (required) findings.Error(key, "missing-key", $"{key} is missing; add it, or remove the row");
            return;
        }
        if (text.ValueKind == JsonValueKind.Null || text.ValueKind == JsonValueKind.String && required && text.IsBlank())
        {
            findings.Error(key, "missing-content", $"{key} is {(text.ValueKind == JsonValueKind.Null ? "null" : "empty")}{(role == "assistant" ? ": nothing to learn" : "")}; write the text, or remove the row");
            return;
        }
        if (text.ValueKind != JsonValueKind.String)
        {
            findings.Error(key, "data-type", $"{key} must be a string but is {text.Kind()}");
            return;
        }
        var start = Text.Length;
        Text.Append(text);
        content.Check(Text.From(start), key, findings);
        Text.EndMessage(role, start);
    }

    private void History(JsonElement row, RowFindings findings)
    {
        if (row.Given("history"u8) is not { } history) return;
        if (history.ValueKind != JsonValueKind.Array)
        {
            findings.Error("history", "history-invalid", $"history must be a list of pairs [question, answer] but is {history.Kind()}");
            return;
        }
        var index = 0;
        foreach (var pair in history.EnumerateArray())
        {
            var field = $"history[{index++}]";
            if (pair.ValueKind != JsonValueKind.Array || pair.GetArrayLength() != 2)
            {
                findings.Error(field, "history-invalid", "each entry of history is a pair [question, answer]");
                continue;
            }
            for (var side = 0; side < 2; side++)
            {
                if (pair[side].ValueKind != JsonValueKind.String) findings.Error($"{field}[{side}]", "history-invalid", $"must be a string but is {pair[side].Kind()}");
                else if (pair[side].IsBlank()) findings.Error($"{field}[{side}]", "missing-content", "is empty; write the text, or remove the pair");
                else Take(pair[side], $"{field}[{side}]", side == 0 ? "user" : "assistant", required: true, findings);
            }
        }
    }
}
