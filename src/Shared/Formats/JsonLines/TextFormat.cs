using System.Buffers;
using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Rows {"text"} for continued pre-training.</summary>
internal sealed class TextFormat(ContentCheck content) : IRowFormat
{
    public RowText Text { get; } = new();

    public bool Rewrite(JsonElement row, IBufferWriter<byte> target) => false;

    public void Check(JsonElement row, RowFindings findings)
    {
        if (row.ValueKind != JsonValueKind.Object)
        {
            findings.Error(null, "data-type", $"a row must be an object, this one is {row.Kind()}; write {{\"text\": …}}");
            return;
        }
        if (row.Property("text"u8) is not { } text)
        {
            findings.Error("text", "missing-key", "text is missing; write {\"text\": …}");
            return;
        }
        if (text.ValueKind is not JsonValueKind.String and not JsonValueKind.Null)
        {
            findings.Error("text", "data-type", $"text must be a string but is {text.Kind()}");
            return;
        }
        if (text.ValueKind == JsonValueKind.Null || text.IsBlank())
        {
            findings.Error("text", "missing-content", $"text is {(text.ValueKind == JsonValueKind.Null ? "null" : text.ValueEquals("") ? "empty" : "only white space")}; write the text, or remove the row");
            return;
        }
        Text.Append(text);
        content.Check(Text.All, "text", findings);
        Text.EndMessage(null, 0);
    }
}
