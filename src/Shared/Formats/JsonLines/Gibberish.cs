using System.Buffers;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Long texts that do not read like language: encoded bytes, one phrase over and over, text decoded with the wrong code page.</summary>
internal static class Gibberish
{
    private const int LongEnough = 120;
    private static readonly SearchValues<char> Base64 = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_");
    private static readonly SearchValues<char> Hex = SearchValues.Create("0123456789abcdefABCDEF \n:");

    public static string? Kind(ReadOnlySpan<char> text)
    {
        if (text.Length < LongEnough) return null;
        if (text.IndexOfAnyExcept(Hex) < 0) return "hex";
        if (IsMojibake(text)) return "mojibake";
        if (Repeats(text)) return "repetition";
        for (var rest = text; rest.Length >= LongEnough;)
        {
            var run = rest.IndexOfAnyExcept(Base64);
            if (run < 0) run = rest.Length;
            if (run >= LongEnough && rest[..run].ContainsAnyInRange('A', 'Z') && rest[..run].ContainsAnyInRange('a', 'z') && rest[..run].ContainsAnyInRange('0', '9')) return "base64";
            rest = rest[Math.Min(rest.Length, run + 1)..];
        }
        return null;
    }

    /// <summary>UTF-8 read as Windows-1252: letters of Latin-1, each followed by signs that never follow a letter.</summary>
    private static bool IsMojibake(ReadOnlySpan<char> text)
    {
        var pairs = 0;
        for (var i = 0; i + 1 < text.Length; i++)
            if (text[i] is >= '\u00C2' and <= '\u00F4' && (text[i + 1] is >= '\u0080' and <= '\u00BF' or >= '\u2013' and <= '\u2122' or 'Š' or 'š' or 'Œ' or 'œ' or 'ž' or 'Ž' or 'Ÿ' or 'ƒ' or 'ˆ' or '˜')) pairs++;
        return pairs > text.Length / 10;
    }

    /// <summary>Hardly any new group of four characters in the first thousand.</summary>
    private static bool Repeats(ReadOnlySpan<char> text)
    {
        text = text[..Math.Min(text.Length, 1024)];
        Span<ulong> seen = stackalloc ulong[64];            // 4,096 bits
        seen.Clear();
        var different = 0;
        for (var i = 0; i + 4 <= text.Length; i++)
        {
            var hash = (uint)(StableHash.Mix(((ulong)text[i] << 48) | ((ulong)text[i + 1] << 32) | ((ulong)text[i + 2] << 16) | text[i + 3]) & 4095);
            var bit = 1UL << (int)(hash & 63);
            if ((seen[(int)(hash >> 6)] & bit) != 0) continue;
            seen[(int)(hash >> 6)] |= bit;
            different++;
        }
        return different * 12 < text.Length;
    }
}
