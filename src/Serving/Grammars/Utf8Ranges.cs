using System.Text;

namespace TokenMill.Serving.Grammars;

/// <summary>
/// A range of characters as sequences of ranges of bytes: a text is in one of the sequences exactly if it is one character of the range.
/// (Idea: a range is cut wherever the bytes that follow would not have their full range; see Thompson's UTF-8 automata, as in RE2.)
/// </summary>
internal static class Utf8Ranges
{
    public const int Last = 0x10FFFF;
    private const int FirstSurrogate = 0xD800, LastSurrogate = 0xDFFF, BitsPerByte = 6;
    private static readonly int[] LastOfLength = [0x7F, 0x7FF, 0xFFFF, Last];

    public static IEnumerable<ByteSet[]> Of(int first, int last)
    {
        if (first > last) yield break;
        if (first <= LastSurrogate && last >= FirstSurrogate)
        {
            foreach (var part in Of(first, FirstSurrogate - 1).Concat(Of(LastSurrogate + 1, last))) yield return part;
            yield break;
        }
        var from = first;
        foreach (var most in LastOfLength)
        {
            if (from > most) continue;
            foreach (var part in OfOneLength(from, Math.Min(last, most))) yield return part;
            if (last <= most) yield break;
            from = most + 1;
        }
    }

    private static IEnumerable<ByteSet[]> OfOneLength(int first, int last)
    {
        for (var bits = BitsPerByte; first > LastOfLength[0] && bits <= 3 * BitsPerByte; bits += BitsPerByte)
        {
            var low = (1 << bits) - 1;
            if ((first & ~low) == (last & ~low)) continue;
            var cut = (first & low) != 0 ? (first | low) + 1 : (last & low) != low ? last & ~low : -1;
            if (cut >= 0) return OfOneLength(first, cut - 1).Concat(OfOneLength(cut, last));
        }
        var (from, to) = (Bytes(first), Bytes(last));
        return [[.. from.Zip(to, (a, b) => ByteSet.Range(a, b))]];
    }

    private static byte[] Bytes(int character) => Encoding.UTF8.GetBytes(char.ConvertFromUtf32(character));
}
