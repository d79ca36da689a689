using System.Buffers;
using System.Text;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Finds bytes that are no UTF-8 and names the encoding they probably come from. Nothing is ever decoded by that guess.</summary>
internal static class Utf8Fault
{
    /// <summary>Offset of the first invalid sequence, and how many bytes it is worth showing.</summary>
    public static int FirstInvalid(ReadOnlySpan<byte> bytes, out int length)
    {
        for (var at = 0; at < bytes.Length;)
        {
            if (Rune.DecodeFromUtf8(bytes[at..], out _, out var consumed) == OperationStatus.Done)
            {
                at += consumed;
                continue;
            }
            // Half a surrogate pair is spelled like any character of three bytes.
            var surrogate = bytes.Length - at >= 3 && bytes[at] == 0xED && bytes[at + 1] is >= 0xA0 and <= 0xBF && bytes[at + 2] is >= 0x80 and <= 0xBF;
            length = surrogate ? 3 : bytes[at] >= 0xC0 && at + 1 < bytes.Length ? Math.Max(2, consumed) : consumed;
            return at;
        }
        length = 0;
        return -1;
    }

    /// <summary>", likely …", or nothing where the bytes tell nothing.</summary>
    public static string LikelyEncoding(ReadOnlySpan<byte> bytes)
    {
        int pairs = 0, single = 0, utf8 = 0;
        for (var at = 0; at < bytes.Length; at++)
        {
            if (bytes[at] < 0x80) continue;
            if (Rune.DecodeFromUtf8(bytes[at..], out _, out var consumed) == OperationStatus.Done)
            {
                utf8++;
                at += consumed - 1;
            }
            else if (at + 1 < bytes.Length && bytes[at] is >= 0x81 and <= 0xFE && bytes[at + 1] is >= 0x80 and <= 0xFE)
            {
                pairs++;
                at++;
            }
            else
            {
                single++;
            }
        }
        if (utf8 > pairs + single) return "";               // mostly UTF-8 with a damaged place: no other encoding
        return pairs > single ? ", likely GB18030 (GBK)" : ", likely Latin-1 or Windows-1252";
    }
}
