using System.Text;

namespace TokenMill.Training.Tokenizer;

/// <summary>
/// Cuts text into the words inside which byte pairs may merge, as llama.cpp does for the pre-tokenizer "smollm":
/// every number character stands alone; the stretches between them are split by GPT-2's expression
/// <c>'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+</c>.
/// A stretch ends before a number as if the text ended there: white space in front of a number is one word.
/// </summary>
internal static class PreTokenizer
{
    public const string Name = "smollm";

    private enum Kind { Letter, Number, Space, Other }

    /// <summary>The words of <paramref name="text"/> in order; joined they are the text again (lone surrogates as U+FFFD).</summary>
    public static IEnumerable<string> Split(string text)
    {
        var runes = text.EnumerateRunes().ToArray();
        var kinds = Array.ConvertAll(runes, KindOf);
        for (var start = 0; start < runes.Length;)
        {
            var length = 1;
            if (kinds[start] != Kind.Number)
            {
                var end = Array.IndexOf(kinds, Kind.Number, start);
                length = WordLength(runes, kinds, start, end < 0 ? runes.Length : end);
            }
            yield return Join(runes.AsSpan(start, length));
            start += length;
        }
    }

    /// <summary>Length of the word at <paramref name="start"/> in a stretch without numbers that ends before <paramref name="end"/>.</summary>
    private static int WordLength(Rune[] runes, Kind[] kinds, int start, int end)
    {
        if (Contraction(runes, start, end) is > 0 and var contraction) return contraction;

        var first = runes[start].Value == ' ' && start + 1 < end ? start + 1 : start;
        if (kinds[first] is Kind.Letter or Kind.Other)
        {
            var last = first;
            while (last < end && kinds[last] == kinds[first]) last++;
            return last - start;
        }

        var spaces = 0;
        while (start + spaces < end && kinds[start + spaces] == Kind.Space) spaces++;
        // \s+(?!\S): the last space goes with the word behind it.
        return spaces > 1 && start + spaces < end ? spaces - 1 : spaces;
    }

    private static int Contraction(Rune[] runes, int start, int end)
    {
        if (runes[start].Value != '\'' || start + 1 >= end) return 0;
        var next = runes[start + 1].Value;
        if (next is 's' or 't' or 'm' or 'd') return 2;
        if (start + 2 >= end) return 0;
        return (next, runes[start + 2].Value) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? 3 : 0;
    }

    private static Kind KindOf(Rune rune) =>
        Rune.IsLetter(rune) ? Kind.Letter
        : Rune.IsNumber(rune) ? Kind.Number
        : Rune.IsWhiteSpace(rune) ? Kind.Space
        : Kind.Other;

    private static string Join(ReadOnlySpan<Rune> runes)
    {
        var text = new StringBuilder(runes.Length);
        foreach (var rune in runes) text.Append(rune);
        return text.ToString();
    }
}
