using System.Buffers;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>How the records of a file follow each other.</summary>
internal enum RecordLayout
{
    /// <summary>One record a line; LF, CRLF or CR ends it, nothing else.</summary>
    Lines,

    /// <summary>The elements of one JSON array.</summary>
    Array,

    /// <summary>JSON objects spread over several lines, one after the other.</summary>
    Objects,
}

/// <summary>
/// Cuts a stream of UTF-8 bytes into records without reading them, in a buffer that grows up to the limit of one record.
/// A longer record is passed over, byte by byte, and only named. Blank lines are no records but count as lines.
/// </summary>
internal sealed class RecordReader : IDisposable
{
    private const int FirstBufferBytes = 1 << 16;

    private readonly Stream _content;
    private readonly int _maxRecordBytes;
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(FirstBufferBytes);
    private int _start, _end;                               // unread bytes of the buffer
    private bool _afterCarriageReturn, _ended, _opened, _closed;
    private long _line = 1, _lineStart, _consumed;          // _consumed: bytes of the stream before _start

    public RecordReader(Stream content, int maxRecordBytes)
    {
        _content = content;
        _maxRecordBytes = maxRecordBytes;
        FillToCapacity();
        Layout = LayoutGuess.Of(_buffer.AsSpan(0, _end), complete: _ended);
    }

    public RecordLayout Layout { get; }

    /// <summary>Bytes of the current record; valid until the next call of <see cref="Next"/>. Empty when it was too long.</summary>
    public ReadOnlyMemory<byte> Bytes { get; private set; }

    /// <summary>The line on which the record begins, or its place in the array.</summary>
    public long Row { get; private set; }
    public long Record { get; private set; }
    public bool TooLong { get; private set; }

    /// <summary>Line on which the current record begins, whatever the layout.</summary>
    public long Line { get; private set; }

    /// <summary>Bytes read so far, for progress.</summary>
    public long Position => _consumed;

    /// <exception cref="RefusedException">invalid-json: the array around the records is broken.</exception>
    public bool Next() => Layout == RecordLayout.Lines ? NextLine() : NextValue();

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }

    private bool NextLine()
    {
        while (true)
        {
            SkipBlankLines();
            if (_start == _end && !Fill()) return false;
            var first = _line;
            var length = LineLength(out var ended);
            var line = _buffer.AsMemory(_start, Math.Min(length, _end - _start));
            var blank = !TooLong && line.Span.IndexOfAnyExcept((byte)' ', (byte)'\t') < 0;
            Advance(line.Length);
            if (ended) EndLine();
            if (blank) continue;
            Begin(TooLong ? default : line, first, first);
            return true;
        }
    }

    /// <summary>Runs of line feeds cost one scan, not one turn of the loop each: a gibibyte of them is read in a second.</summary>
    private void SkipBlankLines()
    {
        while (_start < _end || Fill())
        {
            if (_afterCarriageReturn && _buffer[_start] == (byte)'\n')
            {
                _afterCarriageReturn = false;
                Advance(1);
                _lineStart = _consumed;
                continue;
            }
            _afterCarriageReturn = false;
            var rest = _buffer.AsSpan(_start, _end - _start);
            var run = rest.IndexOfAnyExcept((byte)'\n');
            if (run == 0) return;
            if (run < 0) run = rest.Length;
            Advance(run);
            _line += run;
            _lineStart = _consumed;
        }
    }

    /// <summary>Bytes up to the end of the line, all in the buffer; a longer line is passed over but for its last piece.</summary>
    private int LineLength(out bool ended)
    {
        TooLong = false;
        var scanned = 0;
        while (true)
        {
            var at = _buffer.AsSpan(_start + scanned, _end - _start - scanned).IndexOfAny((byte)'\n', (byte)'\r');
            ended = at >= 0;
            if (ended) return scanned + at;
            scanned = _end - _start;
            if (scanned > _maxRecordBytes)
            {
                TooLong = true;
                Advance(scanned);
                scanned = 0;
            }
            if (!Fill()) return scanned;
        }
    }

    private void EndLine()
    {
        _afterCarriageReturn = _buffer[_start] == (byte)'\r';
        Advance(1);
        _line++;
        _lineStart = _consumed;
    }

    private bool NextValue()
    {
        if (!_opened && Layout == RecordLayout.Array)
        {
            SkipWhiteSpace();
            Advance(1);                                     // the bracket that told the layout
            _opened = true;
            if (SkipWhiteSpace() == ']')
            {
                Advance(1);
                _closed = true;
            }
        }
        if (_closed)
        {
            if (SkipWhiteSpace() >= 0) throw Broken("something follows the end of the array", "keep one array in a file, or write one JSON object per line");
            return false;
        }
        var next = SkipWhiteSpace();
        if (next < 0)
        {
            if (Layout == RecordLayout.Objects) return false;
            throw Broken("the file ends inside the array", "the upload or export is incomplete: send the whole file");
        }
        if (Layout == RecordLayout.Array && next is ',' or ']') throw Broken($"'{(char)next}' where a row should begin", "a comma stands between two rows, and nowhere else");
        if (Layout == RecordLayout.Objects && next != '{')
            throw new RefusedException("json-not-one-per-line", $"rows span several lines, and line {_line} is not the beginning of one", "write one JSON object per line, or one JSON array");

        var line = _line;
        var value = Value();
        Begin(value, Layout == RecordLayout.Array ? Record + 1 : line, line);
        return true;
    }

    /// <summary>
    /// Bytes of the value that begins here, by counting brackets outside strings; whether it is good JSON is for the reader of the record.
    /// In an array, the comma or bracket behind it is taken as well.
    /// </summary>
    private ReadOnlyMemory<byte> Value()
    {
        TooLong = false;
        int at = 0, depth = 0;
        bool inString = false, escaped = false;
        while (true)
        {
            if (_start + at == _end)
            {
                if (at > _maxRecordBytes)
                {
                    TooLong = true;
                    Advance(at);
                    at = 0;
                }
                if (!Fill()) throw Broken(Layout == RecordLayout.Array ? "the file ends inside the array" : "the file ends inside a row", "the upload or export is incomplete: send the whole file");
            }
            var b = _buffer[_start + at];
            if (b is (byte)'\n' or (byte)'\r') CountLine(b, at);
            else _afterCarriageReturn = false;
            if (inString)
            {
                if (escaped) escaped = false;
                else if (b == '\\') escaped = true;
                else if (b == '"') inString = false;
                at++;
                continue;
            }
            if (depth == 0 && Layout == RecordLayout.Array && b is (byte)',' or (byte)']')
            {
                var element = TooLong ? default : TrimEnd(_buffer.AsMemory(_start, at));
                Advance(at + 1);
                _closed = b == ']';
                return element;
            }
            at++;
            switch (b)
            {
                case (byte)'"': inString = true; break;
                case (byte)'{' or (byte)'[': depth++; break;
                case (byte)'}' or (byte)']':
                    if (--depth < 0) throw Broken("a bracket closes that was never opened", "write the file with a JSON library");
                    if (depth > 0 || Layout == RecordLayout.Array) break;
                    var value = TooLong ? default : _buffer.AsMemory(_start, at);
                    Advance(at);
                    return value;
            }
        }
    }

    /// <summary>The next byte that is no white space, not taken; −1 at the end of the file.</summary>
    private int SkipWhiteSpace()
    {
        while (_start < _end || Fill())
        {
            var b = _buffer[_start];
            if (b is (byte)'\n' or (byte)'\r') CountLine(b, 0);
            else if (b is (byte)' ' or (byte)'\t') _afterCarriageReturn = false;
            else return b;
            Advance(1);
        }
        return -1;
    }

    private void CountLine(byte b, int offset)
    {
        if (!(b == '\n' && _afterCarriageReturn)) _line++;
        _afterCarriageReturn = b == '\r';
        _lineStart = _consumed + offset + 1;
    }

    private RefusedException Broken(string what, string remedy) =>
        new("invalid-json", $"line {_line}, column {_consumed - _lineStart + 1}: {what}", remedy);

    private void Begin(ReadOnlyMemory<byte> bytes, long row, long line)
    {
        Record++;
        (Bytes, Row, Line) = (bytes, row, line);
        if (bytes.Length > _maxRecordBytes) (Bytes, TooLong) = (default, true);
    }

    private void Advance(int count)
    {
        _start += count;
        _consumed += count;
    }

    private static ReadOnlyMemory<byte> TrimEnd(ReadOnlyMemory<byte> value)
    {
        var last = value.Span.LastIndexOfAnyExcept(" \t\r\n"u8);
        return value[..(last + 1)];
    }

    private void FillToCapacity()
    {
        while (_end < _buffer.Length && Fill()) { }
    }

    /// <summary>Reads more behind the unread bytes, which move to the front or into a larger buffer. False at the end of the file.</summary>
    private bool Fill()
    {
        if (_ended) return false;
        if (_start == _end) (_start, _end) = (0, 0);
        if (_end == _buffer.Length && _start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }
        if (_end == _buffer.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(_buffer.Length * 2);
            _buffer.AsSpan(0, _end).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = larger;
        }
        var read = _content.Read(_buffer, _end, _buffer.Length - _end);
        _end += read;
        _ended = read == 0;
        return read > 0;
    }
}
