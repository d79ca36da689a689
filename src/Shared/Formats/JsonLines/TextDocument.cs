using System.Buffers;
using System.Text;
using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>A plain text file: one document, one row, written on as {"text"}.</summary>
internal sealed class TextDocument(Stream stream, int maxBytes, ContentCheck content) : IRowSource
{
    private readonly ArrayBufferWriter<byte> _row = new();

    public long Rows { get; private set; }
    public ReadOnlyMemory<byte> Utf8 => _row.WrittenMemory;
    public ulong Hash { get; private set; }
    public RowText Text { get; } = new();
    public string WhyEmpty => "the file holds no text";

    public bool Next(RowFindings findings)
    {
        if (Rows > 0) return false;
        var bytes = new byte[Math.Min(maxBytes, 1 << 20)];
        var length = 0;
        for (int read; (read = stream.ReadAtLeast(bytes.AsSpan(length), 1, throwOnEndOfStream: false)) > 0;)
        {
            length += read;
            if (length < bytes.Length) continue;
            if (length > maxBytes) break;
            Array.Resize(ref bytes, Math.Min(bytes.Length * 2, maxBytes + 1));
        }
        var document = bytes.AsSpan(0, length);
        if (document.IndexOfAnyExcept(" \t\r\n\f\v"u8) < 0) return false;
        Rows = 1;
        findings.Begin(1, 1);
        if (length > maxBytes) findings.Error(null, "line-too-long", $"the document is longer than {maxBytes:N0} bytes, the limit for one row; cut it into rows {{\"text\": …}}");
        else if (!System.Text.Unicode.Utf8.IsValid(document)) Invalid(document, findings);
        else if (document.Contains((byte)0)) findings.Error(null, "nul-character", $"line {Line(document, document.IndexOf((byte)0))} contains a NUL character, which cannot be stored; remove it");
        else Take(document, findings);
        return true;
    }

    public void Dispose()
    {
    }

    private void Take(ReadOnlySpan<byte> document, RowFindings findings)
    {
        Text.Append(Encoding.UTF8.GetString(document));
        content.Check(Text.All, "text", findings);
        Text.EndMessage(null, 0);
        Hash = StableHash.Of(document);
        using var json = new Utf8JsonWriter(_row, new JsonWriterOptions { Encoder = Json.Options.Encoder });
        json.WriteStartObject();
        json.WriteString("text"u8, Text.All);
        json.WriteEndObject();
    }

    private static void Invalid(ReadOnlySpan<byte> document, RowFindings findings)
    {
        var at = Utf8Fault.FirstInvalid(document, out var length);
        findings.Error(null, "invalid-utf8", $"line {Line(document, at)}: bytes {Convert.ToHexStringLower(document.Slice(at, length))} are not UTF-8{Utf8Fault.LikelyEncoding(document)}; save the file as UTF-8");
    }

    private static int Line(ReadOnlySpan<byte> document, int at) => document[..at].Count((byte)'\n') + 1;
}
