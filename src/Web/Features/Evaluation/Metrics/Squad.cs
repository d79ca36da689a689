using System.Globalization;
using System.Text;

namespace TokenMill.Web.Features.Evaluation.Metrics;

/// <summary>
/// Exact match and token F1 as the evaluation script of SQuAD 2.0 defines them: lower case, no ASCII punctuation, no articles, single spaces.
/// The best reference counts; without any, the right answer is none.
/// </summary>
public static class Squad
{
    public static double ExactMatch(string prediction, IReadOnlyList<string> references) =>
        Best(references, reference => Normalise(prediction) == Normalise(reference) ? 1 : 0);

    /// <summary>0…1.</summary>
    public static double F1(string prediction, IReadOnlyList<string> references) =>
        Best(references, reference => F1(MetricText.Words(Normalise(prediction)), MetricText.Words(Normalise(reference))));

    internal static string Normalise(string text)
    {
        var plain = string.Concat(text.ToLowerInvariant().Where(c => !char.IsAscii(c) || !(char.IsPunctuation(c) || char.IsSymbol(c))));
        return string.Join(' ', MetricText.Words(WithoutArticles(plain)));
    }

    private static double Best(IReadOnlyList<string> references, Func<string, double> score) =>
        references.Count == 0 ? score("") : references.Max(score);

    private static double F1(List<string> prediction, List<string> reference)
    {
        if (prediction.Count == 0 || reference.Count == 0) return prediction.Count == reference.Count ? 1 : 0;
        double same = new NGrams(prediction, 1).Matches(new NGrams(reference, 1));
        if (same == 0) return 0;
        var (precision, recall) = (same / prediction.Count, same / reference.Count);
        return 2 * precision * recall / (precision + recall);
    }

    private static string WithoutArticles(string text)
    {
        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length;)
        {
            var end = i;
            while (end < text.Length && IsWordCharacter(text[end])) end++;
            if (end == i) result.Append(text[i++]);
            else
            {
                var word = text.AsSpan(i, end - i);
                if (word is "a" or "an" or "the") result.Append(' ');
                else result.Append(word);
                i = end;
            }
        }
        return result.ToString();
    }

    private static bool IsWordCharacter(char c) => c == '_' || char.IsLetterOrDigit(c) || char.IsSurrogate(c) || char.GetUnicodeCategory(c) is UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;
}
