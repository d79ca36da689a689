using System.Buffers.Binary;
using System.Text;
using System.Text.Unicode;
using Microsoft.Win32.SafeHandles;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats.Gguf;

/// <summary>
/// Reads a header front to back in a small window. Nothing is allocated for a length the file only claims:
/// each is compared with what is left of the file first.
/// </summary>
internal sealed class GgufHeaderReader(SafeFileHandle file, long fileBytes)
{
    public const int MaxStringBytes = 32 << 20;

    private byte[] _window = new byte[64 << 10];
    private int _start, _end;               // unread bytes of the window
    private long _next;                     // where the file goes on behind the window

    public long Position => _next - (_end - _start);
    public long Remaining => fileBytes - Position;

    public byte Byte(string field) => Take(1, field)[0];
    public uint UInt32(string field) => BinaryPrimitives.ReadUInt32LittleEndian(Take(4, field));
    public ulong UInt64(string field) => BinaryPrimitives.ReadUInt64LittleEndian(Take(8, field));

    public string Text(string field, int maxBytes = MaxStringBytes) => Encoding.UTF8.GetString(Bytes(field, maxBytes));

    /// <summary>Checks a string and steps over it.</summary>
    public void SkipText(string field) => Bytes(field, MaxStringBytes);

    public void Skip(long bytes, string field)
    {
        if (bytes > Remaining) throw Truncated(field);
        var inWindow = (int)Math.Min(bytes, _end - _start);
        _start += inWindow;
        _next += bytes - inWindow;
    }

    private ReadOnlySpan<byte> Bytes(string field, int maxBytes)
    {
        var length = UInt64(field);
        if (length > (ulong)Remaining || length > (ulong)maxBytes)
            throw GgufFile.Refuse(field, "gguf-string-length", $"a string of {length} bytes where {Math.Min(Remaining, maxBytes)} are possible");
        var bytes = Take((int)length, field);
        return Utf8.IsValid(bytes) ? bytes : throw GgufFile.Refuse(field, "gguf-string-utf8", "a text that is not UTF-8");
    }

    private ReadOnlySpan<byte> Take(int count, string field)
    {
        if (count > Remaining) throw Truncated(field);
        if (count > _end - _start) Fill(count, field);
        var bytes = _window.AsSpan(_start, count);
        _start += count;
        return bytes;
    }

    private void Fill(int count, string field)
    {
        var unread = _window.AsSpan(_start, _end - _start);
        var target = count > _window.Length ? new byte[count] : _window;
        unread.CopyTo(target);
        (_window, _start, _end) = (target, 0, unread.Length);
        while (_end < count)
        {
            var read = RandomAccess.Read(file, _window.AsSpan(_end), _next);
            if (read == 0) throw Truncated(field);
            _end += read;
            _next += read;
        }
    }

    private static RefusedException Truncated(string field) => new(new Error(
        "gguf-truncated", $"the file ends within {field}", "the download is incomplete: fetch it again") { Field = field });
}
