using System.Text;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>Texts counted as Python counts them: a surrogate pair is one, a lone surrogate is one too.</summary>
internal static class CodePoints
{
    public static int Count(string text)
    {
        var count = text.Length;
        if (text.AsSpan().IndexOfAnyInRange('\ud800', '\udbff') < 0) return count;
        for (var i = 0; i + 1 < text.Length; i++)
            if (char.IsSurrogatePair(text[i], text[i + 1])) count--;
        return count;
    }

    public static int WidthAt(string text, int offset) =>
        offset + 1 < text.Length && char.IsSurrogatePair(text[offset], text[offset + 1]) ? 2 : 1;

    /// <summary>The UTF-16 offset of a code point, counted from the start or from a given place.</summary>
    public static int Offset(string text, int index)
    {
        var offset = 0;
        for (; index > 0 && offset < text.Length; index--) offset += WidthAt(text, offset);
        return offset;
    }

    public static IEnumerable<string> Each(string text)
    {
        for (var i = 0; i < text.Length;)
        {
            var width = WidthAt(text, i);
            yield return text.Substring(i, width);
            i += width;
        }
    }

    public static string Reverse(string text)
    {
        var result = new StringBuilder(text.Length);
        for (var i = text.Length; i > 0;)
        {
            var width = i > 1 && char.IsSurrogatePair(text[i - 2], text[i - 1]) ? 2 : 1;
            i -= width;
            result.Append(text, i, width);
        }
        return result.ToString();
    }

    /// <summary>The value of the code point at an offset; a lone surrogate is its own value.</summary>
    public static int ValueAt(string text, int offset) =>
        WidthAt(text, offset) == 2 ? char.ConvertToUtf32(text[offset], text[offset + 1]) : text[offset];
}
