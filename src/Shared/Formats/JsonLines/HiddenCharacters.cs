using System.Buffers;
using System.Globalization;
using System.Text;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Characters that show as nothing, turn the text around, or steer a terminal. Joiners inside emoji, Persian or Indic words,
/// direction marks beside right-to-left letters and the tags of a flag are ordinary text.
/// </summary>
internal static class HiddenCharacters
{
    private static readonly SearchValues<char> Controls = SearchValues.Create(
        string.Concat(Enumerable.Range(0, 0xA0).Where(c => (c < 0x20 || c >= 0x7F) && c is not ('\t' or '\n' or '\r' or 0x85)).Select(c => (char)c)));

    private static readonly SearchValues<char> Invisible = SearchValues.Create(
        "\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180E\u200B\u200C\u200D\u200E\u200F\u202A\u202B\u202C\u202D\u202E\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\u206A\u206B\u206C\u206D\u206E\u206F\u3164\uFEFF\uFFA0\uFFF9\uFFFA\uFFFB\uDB40");

    public static void Check(ReadOnlySpan<char> text, in FieldPath field, RowFindings findings)
    {
        var control = text.IndexOfAny(Controls);
        if (control >= 0)
            findings.Warn(field, "control-character", $"contains the control character U+{(int)text[control]:X4}, which shows as nothing or steers a terminal; remove it", match: $"U+{(int)text[control]:X4}");
        for (var at = text.IndexOfAny(Invisible); at >= 0;)
        {
            if (!IsOrdinary(text, at))
            {
                Rune.DecodeFromUtf16(text[at..], out var rune, out _);
                findings.Warn(field, "invisible-character", $"contains U+{rune.Value:X4}, which shows as nothing or turns the text around; remove it", match: $"U+{rune.Value:X4}");
                return;
            }
            var next = text[(at + 1)..].IndexOfAny(Invisible);
            at = next < 0 ? -1 : at + 1 + next;
        }
    }

    private static bool IsOrdinary(ReadOnlySpan<char> text, int at)
    {
        var before = text[..at];
        var after = text[(at + 1)..];
        return text[at] switch
        {
            '\u200D' => JoinsLetters(before, after) || IsEmojiPart(Last(before)) && IsEmojiPart(First(after)),
            '\u200C' => JoinsLetters(before, after),
            '\u200E' or '\u200F' or '\u061C' => HasRightToLeft(text),
            '\uDB40' => InFlag(before),
            _ => false,
        };
    }

    private static bool JoinsLetters(ReadOnlySpan<char> before, ReadOnlySpan<char> after) => IsJoiningScript(Last(before)) && (after.IsEmpty || IsJoiningScript(First(after)) || !Rune.IsLetter(First(after)));

    /// <summary>Arabic, Syriac, N'Ko, Mandaic; the Indic scripts; Khmer, Mongolian.</summary>
    private static bool IsJoiningScript(Rune rune) => rune.Value is >= 0x0600 and <= 0x08FF or >= 0x0900 and <= 0x0DFF or >= 0x0F00 and <= 0x109F or >= 0x1780 and <= 0x18AF or >= 0xFB50 and <= 0xFDFF or >= 0xFE70 and <= 0xFEFC;

    private static bool IsEmojiPart(Rune rune) =>
        rune.Value is 0xFE0F or >= 0x1F000 and <= 0x1FAFF or >= 0x2190 and <= 0x2BFF or >= 0x1F3FB and <= 0x1F3FF
        || Rune.GetUnicodeCategory(rune) == UnicodeCategory.OtherSymbol;

    private static bool HasRightToLeft(ReadOnlySpan<char> text) => text.IndexOfAnyInRange('\u0590', '\u08FF') >= 0;

    /// <summary>Tag characters after U+1F3F4 spell a region's flag.</summary>
    private static bool InFlag(ReadOnlySpan<char> before)
    {
        while (before is [.., '\uDB40', _]) before = before[..^2];
        return Last(before).Value == 0x1F3F4;
    }

    private static Rune Last(ReadOnlySpan<char> text) => Rune.DecodeLastFromUtf16(text, out var rune, out _) == OperationStatus.Done ? rune : default;

    private static Rune First(ReadOnlySpan<char> text) => Rune.DecodeFromUtf16(text, out var rune, out _) == OperationStatus.Done ? rune : default;
}
