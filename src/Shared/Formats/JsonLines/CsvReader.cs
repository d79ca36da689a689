using System.Buffers;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Cuts a table into records and cells (RFC 4180): cells in quotes may hold separators, line ends and doubled quotes; LF, CRLF or CR ends a record.
/// The separator is given by a first line <c>sep=;</c>, or is the one that the header uses most. A record beyond the limit is passed over and named.
/// </summary>
internal sealed class CsvReader : IDisposable
{
    private const int BufferBytes = 1 << 16;

    private readonly Stream _content;
    private readonly int _maxRecordBytes;
    private readonly byte[] _buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
    private readonly ArrayBufferWriter<byte> _text = new(4096);
    private readonly List<int> _ends = [];
    private int _start, _end;
    private bool _afterCarriageReturn;
    private long _line = 1;

    public CsvReader(Stream content, int maxRecordBytes, byte? separator)
    {
        (_content, _maxRecordBytes) = (content, maxRecordBytes);
        while (_end < _buffer.Length && content.Read(_buffer, _end, _buffer.Length - _end) is var read and > 0) _end += read;
        Separator = separator ?? GivenSeparator() ?? LikelySeparator();
    }

    public byte Separator { get; }

    /// <summary>Line on which the record begins.</summary>
    public long Line { get; private set; }
    public bool TooLong { get; private set; }

    /// <summary>Index of the cell whose quote was never closed, or −1.</summary>
    public int UnclosedQuote { get; private set; } = -1;
    public int Cells => _ends.Count;

    public ReadOnlySpan<byte> Cell(int index)
    {
        var start = index == 0 ? 0 : _ends[index - 1];
        return _text.WrittenSpan[start.._ends[index]];
    }

    /// <summary>The next record that is not a blank line.</summary>
    public bool Next()
    {
        while (true)
        {
            if (!Record()) return false;
            var blank = Cells == 1 && !TooLong && UnclosedQuote < 0 && Cell(0).IndexOfAnyExcept((byte)' ', (byte)'\t') < 0;
            if (!blank) return true;
        }
    }

    public void Dispose() => ArrayPool<byte>.Shared.Return(_buffer);

    private bool Record()
    {
        _text.ResetWrittenCount();
        _ends.Clear();
        (TooLong, UnclosedQuote) = (false, -1);
        if (_afterCarriageReturn && Peek() == '\n') _start++;
        _afterCarriageReturn = false;
        if (Peek() < 0) return false;
        Line = _line;
        bool inQuotes = false, cellBegins = true;
        long size = 0;
        while (true)
        {
            var next = Peek();
            if (next < 0)
            {
                if (inQuotes) UnclosedQuote = _ends.Count;
                _ends.Add(_text.WrittenCount);
                return true;
            }
            var b = (byte)next;
            _start++;
            if (++size > _maxRecordBytes) TooLong = true;
            if (inQuotes)
            {
                if (b != '"')
                {
                    CountLine(b);
                    Put(b);
                }
                else if (Peek() == '"')
                {
                    _start++;
                    Put(b);
                }
                else
                {
                    inQuotes = false;
                }
                continue;
            }
            if (b == '"' && cellBegins)
            {
                inQuotes = true;
                cellBegins = false;
            }
            else if (b == Separator)
            {
                _ends.Add(_text.WrittenCount);
                cellBegins = true;
            }
            else if (b is (byte)'\n' or (byte)'\r')
            {
                _ends.Add(_text.WrittenCount);
                _line++;
                _afterCarriageReturn = b == '\r';
                return true;
            }
            else
            {
                cellBegins = false;
                Put(b);
            }
        }
    }

    /// <summary>Inside a cell; CRLF is one line end.</summary>
    private void CountLine(byte b)
    {
        if (b == '\n' && !_afterCarriageReturn || b == '\r') _line++;
        _afterCarriageReturn = b == '\r';
    }

    private void Put(byte b)
    {
        if (TooLong) return;
        _text.GetSpan(1)[0] = b;
        _text.Advance(1);
    }

    private int Peek()
    {
        if (_start == _end)
        {
            _start = 0;
            _end = _content.Read(_buffer, 0, _buffer.Length);
            if (_end == 0) return -1;
        }
        return _buffer[_start];
    }

    private byte? GivenSeparator()
    {
        var head = _buffer.AsSpan(0, _end);
        var quoted = head.StartsWith("\"sep="u8);
        if (!quoted && !head.StartsWith("sep="u8)) return null;
        var at = quoted ? 5 : 4;
        var end = head.IndexOfAny((byte)'\n', (byte)'\r');
        if (end < at + 1 || end > at + 2) return null;
        _start = end + 1;
        _afterCarriageReturn = head[end] == '\r';
        _line = 2;
        return head[at];
    }

    private byte LikelySeparator()
    {
        Span<byte> candidates = [(byte)',', (byte)';', (byte)'\t', (byte)'|'];
        Span<int> counts = stackalloc int[candidates.Length];
        counts.Clear();
        var inQuotes = false;
        foreach (var b in _buffer.AsSpan(0, _end))
        {
            if (b == '"') inQuotes = !inQuotes;
            if (inQuotes) continue;
            if (b is (byte)'\n' or (byte)'\r') break;
            if (candidates.IndexOf(b) is var which and >= 0) counts[which]++;
        }
        var best = 0;
        for (var i = 1; i < candidates.Length; i++)
            if (counts[i] > counts[best]) best = i;
        return candidates[best];
    }
}
