using System.Buffers;
using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Pairs of answers to one prompt, of which one is preferred: {"prompt","chosen","rejected"} as strings or lists of messages,
/// or as OpenAI writes them, {"input":{"messages","tools"},"preferred_output","non_preferred_output"}.
/// The two answers differ, are not empty, and come from the assistant.
/// </summary>
internal sealed class PreferenceFormat : IRowFormat
{
    private readonly bool _openAi;
    private readonly ContentCheck _content;
    private readonly ToolCheck _tools = new();
    private readonly MessageCheck _messages;

    public PreferenceFormat(ContentCheck content, bool openAi)
    {
        (_content, _openAi) = (content, openAi);
        _messages = new MessageCheck(content, _tools, Text);
    }

    public RowText Text { get; } = new();

    private string Chosen => _openAi ? "preferred_output" : "chosen";
    private string Rejected => _openAi ? "non_preferred_output" : "rejected";

    public void Check(JsonElement row, RowFindings findings)
    {
        if (row.ValueKind != JsonValueKind.Object)
        {
            findings.Error(null, "data-type", $"a row must be an object, this one is {row.Kind()}; write {{\"{(_openAi ? "input" : "prompt")}\": …, \"{Chosen}\": …, \"{Rejected}\": …}}");
            return;
        }
        _tools.Begin(_openAi && row.Given("input"u8) is { ValueKind: JsonValueKind.Object } holder ? holder : row, findings);
        if (_openAi) Input(row, findings);
        else if (!row.TryGetProperty("prompt", out var prompt)) findings.Error("prompt", "missing-key", "prompt is missing; add it, or remove the row");
        else Side(prompt, "prompt", isAnswer: false, findings);
        Text.EndPrompt();
        var (chosen, rejected) = (Answer(row, Chosen, findings), Answer(row, Rejected, findings));
        if (findings.HasErrors || chosen is not { } preferred || rejected is not { } other) return;
        if (preferred.ValueKind != other.ValueKind) findings.Error(Rejected, "data-type", $"{Chosen} is {preferred.Kind()} and {Rejected} is {other.Kind()}; use one form for both");
        else if (JsonElement.DeepEquals(preferred, other)) findings.Error(Rejected, "preference-equal", "both answers are the same, so there is no preference to learn; change one, or remove the row");
    }

    public bool Rewrite(JsonElement row, IBufferWriter<byte> target)
    {
        using var json = new Utf8JsonWriter(target, new JsonWriterOptions { Encoder = Json.Options.Encoder });
        json.WriteStartObject();
        Write(json, "prompt", _openAi ? row.GetProperty("input").GetProperty("messages") : row.GetProperty("prompt"), "user");
        Write(json, "chosen", row.GetProperty(Chosen), "assistant");
        Write(json, "rejected", row.GetProperty(Rejected), "assistant");
        if ((_openAi ? row.GetProperty("input") : row).Given("tools"u8) is { } tools)
        {
            json.WritePropertyName("tools"u8);
            tools.WriteTo(json);
        }
        json.WriteEndObject();
        return true;
    }

    private static void Write(Utf8JsonWriter json, string key, JsonElement value, string role)
    {
        json.WritePropertyName(key);
        if (value.ValueKind == JsonValueKind.Array)
        {
            value.WriteTo(json);
            return;
        }
        json.WriteStartArray();
        json.WriteStartObject();
        json.WriteString("role"u8, role);
        json.WriteString("content"u8, value.GetString());
        json.WriteEndObject();
        json.WriteEndArray();
    }

    private void Input(JsonElement row, RowFindings findings)
    {
        if (!row.TryGetProperty("input", out var input)) findings.Error("input", "missing-key", "input is missing; write {\"messages\": […]}");
        else if (input.ValueKind != JsonValueKind.Object) findings.Error("input", "data-type", $"input must be an object with messages but is {input.Kind()}; write {{\"messages\": […]}}");
        else if (input.Given("messages"u8) is not { } messages) findings.Error("input.messages", "missing-messages-list", "input has no messages; write {\"messages\": […]}");
        else if (messages.ValueKind != JsonValueKind.Array) findings.Error("input.messages", "data-type", $"messages must be a list but is {messages.Kind()}");
        else if (messages.GetArrayLength() == 0) findings.Error("input.messages", "missing-messages-list", "the list of messages is empty; fill it, or remove the row");
        else List(messages, "input.messages", isAnswer: false, findings);
    }

    private JsonElement? Answer(JsonElement row, string key, RowFindings findings)
    {
        if (!row.TryGetProperty(key, out var answer))
        {
            findings.Error(key, "missing-key", $"{key} is missing; add it, or remove the row");
            return null;
        }
        Side(answer, key, isAnswer: true, findings);
        return answer;
    }

    private void Side(JsonElement value, string key, bool isAnswer, RowFindings findings)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Null:
                findings.Error(key, "missing-content", $"{key} is null; write the text, or remove the row");
                break;
            case JsonValueKind.Array when value.GetArrayLength() == 0:
                findings.Error(key, "missing-content", $"{key} is an empty list; write the text, or remove the row");
                break;
            case JsonValueKind.Array:
                List(value, key, isAnswer, findings);
                break;
            case JsonValueKind.String when !_openAi:
                var start = Text.Length;
                Text.Append(value);
                if (value.IsBlank()) findings.Error(key, "missing-content", $"{key} is empty; write the text, or remove the row");
                _content.Check(Text.From(start), key, findings);
                Text.EndMessage(isAnswer ? "assistant" : "user", start);
                break;
            default:
                findings.Error(key, "data-type", $"{key} must be {(_openAi ? "" : "a string or ")}a list of messages but is {value.Kind()}");
                break;
        }
    }

    private void List(JsonElement messages, string key, bool isAnswer, RowFindings findings)
    {
        var index = 0;
        string? previous = isAnswer ? "user" : null;
        foreach (var message in messages.EnumerateArray())
        {
            var role = _messages.Check(message, key, index, previous, findings, out _);
            if (isAnswer && role is not null and not "assistant" && (index == 0 || role != "tool"))
                findings.Error($"{key}[{index}].role", "preference-not-assistant", $"an answer must be from the assistant, not from {role}; correct the role");
            previous = role ?? "";
            index++;
        }
    }
}
