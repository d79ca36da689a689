using System.Buffers;
using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Rows of the form <c>{"messages":[{"role","content",…}],"tools":[…]}</c>. Errors are what cannot be learned from;
/// odd order and unknown keys are warnings. Faults inside messages come before those of the row as a whole, so that one fault is said once.
/// </summary>
internal sealed class MessagesFormat : IRowFormat
{
    private readonly int _contextTokens;
    private readonly ToolCheck _tools = new();
    private readonly MessageCheck _messages;

    public MessagesFormat(ContentCheck content, int contextTokens)
    {
        _contextTokens = contextTokens;
        _messages = new MessageCheck(content, _tools, Text);
    }

    public RowText Text { get; } = new();

    public bool Rewrite(JsonElement row, IBufferWriter<byte> target) => false;

    public void Check(JsonElement row, RowFindings findings)
    {
        if (row.ValueKind != JsonValueKind.Object)
        {
            findings.Error(null, "data-type", $"a row must be an object, this one is {row.Kind()}; write {{\"messages\": […]}}");
            return;
        }
        if (List(row, findings) is not { } messages) return;
        _tools.Begin(row, findings);
        int index = 0, assistants = 0, learned = 0, longest = 0, longestAt = 0, tokens = 0;
        string? previous = null;
        foreach (var message in messages.EnumerateArray())
        {
            var start = Text.Length;
            var role = _messages.Check(message, "messages", index, previous, findings, out var isLearned);
            var length = TokenEstimate.AtLeast(Text.From(start));
            tokens += length;
            if (length > longest) (longest, longestAt) = (length, index);
            if (role == "assistant") assistants++;
            if (role == "assistant" && isLearned) learned++;
            previous = role ?? "";
            index++;
        }
        if (findings.HasErrors) return;
        if (assistants == 0) findings.Error("messages", "example-missing-assistant-message", "there is no assistant message to learn from; add the answer, or remove the row");
        else if (learned == 0) findings.Error("messages", "empty-supervision", "every assistant message has weight 0, so nothing is learned from this row; set a weight to 1, or remove the row");
        if (findings.HasErrors) return;
        if (previous == "user") findings.Warn($"messages[{index - 1}].role", "ends-with-user", "the last user message has no answer and is not learned from; add the answer, or remove the message");
        _tools.End(index, findings);
        if (tokens > _contextTokens)
            findings.Warn(longest > _contextTokens ? $"messages[{longestAt}].content" : "messages", "too-long",
                $"{index:N0} messages with {Text.Length:N0} characters are more than {_contextTokens:N0} tokens with any tokenizer; what exceeds the model's context is cut or left out in training, so split the row");
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
}
