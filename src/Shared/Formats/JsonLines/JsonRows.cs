using System.Buffers;
using System.Text.Json;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Rows that are JSON values: a line each, the elements of an array, or objects one after the other.</summary>
internal sealed class JsonRows(Stream content, int maxRecordBytes, IRowFormat format) : IRowSource
{
    private readonly RecordReader _records = new(content, maxRecordBytes);
    private readonly StrictJson _json = new();
    private readonly ArrayBufferWriter<byte> _rewritten = new();

    public long Rows => _records.Record;
    public ReadOnlyMemory<byte> Utf8 { get; private set; }
    public ulong Hash => _json.Hash;
    public RowText Text => format.Text;
    public string WhyEmpty => _records.Layout == RecordLayout.Array ? "the array is empty" : "the file holds no rows";

    public bool Next(RowFindings findings)
    {
        if (!_records.Next()) return false;
        findings.Begin(_records.Row, _records.Record);
        if (_records.TooLong)
        {
            findings.Error(null, "line-too-long", $"the row is longer than {maxRecordBytes:N0} bytes, the limit for one row; split it");
        }
        else if (_json.Check(_records.Bytes.Span) is { } fault)
        {
            // In an array, what does not parse breaks the whole document.
            if (fault.Code == "invalid-json" && _records.Layout != RecordLayout.Lines)
                throw new RefusedException("invalid-json", $"row {_records.Row:N0}, which begins on line {_records.Line:N0}: {fault.Message}", "nothing was imported");
            findings.Error(fault.Field, fault.Code, fault.Message);
        }
        else
        {
            CheckContent(findings);
        }
        return true;
    }

    public void Dispose() => _records.Dispose();

    private void CheckContent(RowFindings findings)
    {
        using var document = JsonDocument.Parse(_records.Bytes, new JsonDocumentOptions { MaxDepth = StrictJson.MaxDepth });
        format.Text.Clear();
        format.Check(document.RootElement, findings);
        if (findings.HasErrors) return;
        _rewritten.ResetWrittenCount();
        Utf8 = format.Rewrite(document.RootElement, _rewritten) ? _rewritten.WrittenMemory : _records.Bytes;
    }
}
