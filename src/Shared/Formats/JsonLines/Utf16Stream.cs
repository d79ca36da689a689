using System.Buffers.Binary;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// UTF-16 as UTF-8. Half a surrogate pair becomes the three bytes that UTF-8 forbids for it, so that the row which holds it is named
/// like any other row that is not UTF-8, and nothing is replaced in silence. A last odd byte becomes 0xFF, forbidden as well.
/// </summary>
internal sealed class Utf16Stream(Stream inner, bool bigEndian) : Stream
{
    private readonly byte[] _units = new byte[1 << 15];
    private readonly byte[] _utf8 = new byte[(1 << 14) * 3 + 4];
    private int _start, _end, _carried;
    private char _high;

    public override int Read(Span<byte> buffer)
    {
        if (buffer.IsEmpty) return 0;
        while (_start == _end)
            if (!Fill()) return 0;
        var count = Math.Min(buffer.Length, _end - _start);
        _utf8.AsSpan(_start, count).CopyTo(buffer);
        _start += count;
        return count;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    private bool Fill()
    {
        (_start, _end) = (0, 0);
        var read = inner.Read(_units, _carried, _units.Length - _carried);
        if (read == 0)
        {
            if (_high != 0) Append(ref _high);
            if (_carried > 0) _utf8[_end++] = 0xFF;
            _carried = 0;
            return _end > 0;
        }
        var available = _carried + read;
        for (var at = 0; at + 1 < available; at += 2)
        {
            var unit = (char)(bigEndian ? BinaryPrimitives.ReadUInt16BigEndian(_units.AsSpan(at)) : BinaryPrimitives.ReadUInt16LittleEndian(_units.AsSpan(at)));
            if (_high != 0 && char.IsLowSurrogate(unit))
            {
                var point = char.ConvertToUtf32(_high, unit);
                _high = '\0';
                _utf8[_end++] = (byte)(0xF0 | (point >> 18));
                _utf8[_end++] = (byte)(0x80 | ((point >> 12) & 0x3F));
                _utf8[_end++] = (byte)(0x80 | ((point >> 6) & 0x3F));
                _utf8[_end++] = (byte)(0x80 | (point & 0x3F));
                continue;
            }
            if (_high != 0) Append(ref _high);
            if (char.IsHighSurrogate(unit)) _high = unit;
            else Append(ref unit);
        }
        _carried = available & 1;
        if (_carried == 1) _units[0] = _units[available - 1];
        return true;
    }

    private void Append(ref char unit)
    {
        if (unit < 0x80)
        {
            _utf8[_end++] = (byte)unit;
        }
        else if (unit < 0x800)
        {
            _utf8[_end++] = (byte)(0xC0 | (unit >> 6));
            _utf8[_end++] = (byte)(0x80 | (unit & 0x3F));
        }
        else
        {
            _utf8[_end++] = (byte)(0xE0 | (unit >> 12));
            _utf8[_end++] = (byte)(0x80 | ((unit >> 6) & 0x3F));
            _utf8[_end++] = (byte)(0x80 | (unit & 0x3F));
        }
        unit = '\0';
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
    public override void Flush() { }
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
