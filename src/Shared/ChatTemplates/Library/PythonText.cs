using System.Globalization;
using System.Text;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>What Python's str knows of characters where .NET's String differs.</summary>
internal static class PythonText
{
    public static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';

    public static string Trim(string text) => TrimStart(TrimEnd(text));

    public static string TrimStart(string text)
    {
        var start = 0;
        while (start < text.Length && IsSpace(text[start])) start++;
        return text[start..];
    }

    public static string TrimEnd(string text)
    {
        var end = text.Length;
        while (end > 0 && IsSpace(text[end - 1])) end--;
        return text[..end];
    }

    /// <summary>Lines without their ends; Python knows ten kinds of line end.</summary>
    public static List<string> SplitLines(string text, bool keepEnds = false)
    {
        var lines = new List<string>();
        for (var start = 0; start < text.Length;)
        {
            var end = start;
            while (end < text.Length && text[end] is not ('\n' or '\r' or '\v' or '\f' or '\x1c' or '\x1d' or '\x1e' or '\x85' or '\u2028' or '\u2029')) end++;
            var next = end + (end + 1 < text.Length && text[end] == '\r' && text[end + 1] == '\n' ? 2 : 1);
            next = Math.Min(next, text.Length);
            lines.Add(text[start..(keepEnds ? next : end)]);
            start = next;
        }
        return lines;
    }

    /// <summary>Upper case, with the letters that become several (ß → SS, ﬁ → FI).</summary>
    public static string Upper(string text)
    {
        var upper = text.ToUpperInvariant();
        if (upper.AsSpan().IndexOfAnyExceptInRange('\0', '\u007f') < 0) return upper;
        var result = new StringBuilder(upper.Length);
        foreach (var c in upper)
        {
            if (SpecialUpper(c) is { } several) result.Append(several);
            else result.Append(c);
        }
        return result.ToString();
    }

    public static string Lower(string text)
    {
        var lower = text.ToLowerInvariant();
        if (!text.Contains('Σ') && !text.Contains('İ')) return lower;
        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == 'Σ') result.Append(IsFinalSigma(text, i) ? 'ς' : 'σ');
            else if (text[i] == 'İ') result.Append("i̇");
            else result.Append(lower[i]);
        }
        return result.ToString();
    }

    /// <summary>The first code point in title case, the rest in lower case.</summary>
    public static string Capitalize(string text)
    {
        if (text.Length == 0) return text;
        var width = CodePoints.WidthAt(text, 0);
        return TitleCase(text[..width]) + Lower(text[width..]);
    }

    public static string TitleCase(string codePoint)
    {
        var upper = Upper(codePoint);
        if (codePoint is "ǆ" or "Ǆ" or "ǅ") return "ǅ";
        if (codePoint is "ǉ" or "Ǉ" or "ǈ") return "ǈ";
        if (codePoint is "ǌ" or "Ǌ" or "ǋ") return "ǋ";
        if (codePoint is "ǳ" or "Ǳ" or "ǲ") return "ǲ";
        return upper.Length > codePoint.Length ? upper[0] + Lower(upper[1..]) : upper;
    }

    public static bool IsIdentifier(string text)
    {
        for (var i = 0; i < text.Length; i += CodePoints.WidthAt(text, i))
        {
            var category = CharUnicodeInfo.GetUnicodeCategory(CodePoints.ValueAt(text, i));
            var isStart = text[i] == '_' || category is UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
                or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter or UnicodeCategory.LetterNumber;
            var isPart = isStart || category is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.ConnectorPunctuation;
            if (!(i == 0 ? isStart : isPart)) return false;
        }
        return text.Length > 0;
    }

    /// <summary>Whether repr shows a code point as it is; the space is the only separator that it does.</summary>
    public static bool IsPrintable(int codePoint) => codePoint == ' ' || CharUnicodeInfo.GetUnicodeCategory(codePoint) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator);

    public static bool IsCased(string text, int offset) => CharUnicodeInfo.GetUnicodeCategory(CodePoints.ValueAt(text, offset))
        is UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter;

    private static bool IsFinalSigma(string text, int index)
    {
        bool Letter(int step)
        {
            for (var i = index + step; i >= 0 && i < text.Length; i += step)
            {
                if (char.IsLetter(text[i])) return true;
                if (text[i] is not ('\'' or '.' or ':' or '’' or '\u00ad') && char.GetUnicodeCategory(text[i]) != UnicodeCategory.NonSpacingMark) return false;
            }
            return false;
        }
        return Letter(-1) && !Letter(1);
    }

    private static string? SpecialUpper(char c) => c switch
    {
        'ß' => "SS", 'ŉ' => "ʼN", 'ǰ' => "J̌", 'ΐ' => "Ϊ́", 'ΰ' => "Ϋ́", 'և' => "ԵՒ",
        'ẖ' => "H̱", 'ẗ' => "T̈", 'ẘ' => "W̊", 'ẙ' => "Y̊", 'ẚ' => "Aʾ",
        'ﬀ' => "FF", 'ﬁ' => "FI", 'ﬂ' => "FL", 'ﬃ' => "FFI", 'ﬄ' => "FFL", 'ﬅ' => "ST", 'ﬆ' => "ST",
        'ﬓ' => "ՄՆ", 'ﬔ' => "ՄԵ", 'ﬕ' => "ՄԻ", 'ﬖ' => "ՎՆ", 'ﬗ' => "ՄԽ",
        _ => null,
    };
}
