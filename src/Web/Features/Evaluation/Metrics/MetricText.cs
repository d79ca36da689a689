using System.Text;

namespace TokenMill.Web.Features.Evaluation.Metrics;

/// <summary>Texts as the reference implementations, all in Python, take them apart.</summary>
internal static class MetricText
{
    public static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';

    public static List<string> Words(string text)
    {
        var words = new List<string>();
        for (var i = 0; ;)
        {
            while (i < text.Length && IsSpace(text[i])) i++;
            if (i == text.Length) return words;
            var start = i;
            while (i < text.Length && !IsSpace(text[i])) i++;
            words.Add(text[start..i]);
        }
    }

    public static List<string> CodePoints(string text) => [.. text.EnumerateRunes().Select(rune => rune.ToString())];

    public static string TrimEnd(string text)
    {
        var end = text.Length;
        while (end > 0 && IsSpace(text[end - 1])) end--;
        return text[..end];
    }
}
