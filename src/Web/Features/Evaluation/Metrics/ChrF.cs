namespace TokenMill.Web.Features.Evaluation.Metrics;

/// <summary>
/// chrF (Popović, 2015): F-score of character n-grams up to 6, recall twice as important; chrF++ adds words up to 2. As sacrebleu computes it, 0…100.
/// </summary>
public sealed class ChrF(int wordOrder = 0, bool lowerCase = false)
{
    private const int CharacterOrder = 6;
    private const double BetaSquared = 4;

    /// <summary>Of one order: n-grams predicted (none, where the reference has none), wanted, and in both.</summary>
    private readonly record struct Counts(long Predicted, long Wanted, long Matches)
    {
        public static Counts operator +(Counts a, Counts b) => new(a.Predicted + b.Predicted, a.Wanted + b.Wanted, a.Matches + b.Matches);
    }

    public double Sentence(string prediction, IReadOnlyList<string> references) => Score(BestCounts(prediction, references));

    public double Corpus(IReadOnlyList<(string Prediction, IReadOnlyList<string> References)> pairs)
    {
        var sum = new Counts[CharacterOrder + wordOrder];
        foreach (var (prediction, references) in pairs)
        {
            var counts = BestCounts(prediction, references);
            for (var i = 0; i < sum.Length; i++) sum[i] += counts[i];
        }
        return Score(sum);
    }

    private Counts[] BestCounts(string prediction, IReadOnlyList<string> references)
    {
        var ours = Grams(prediction);
        return references.Select(reference => Grams(reference).Zip(ours, (theirs, mine) => new Counts(theirs.Total > 0 ? mine.Total : 0, theirs.Total, mine.Matches(theirs))).ToArray())
            .MaxBy(Score) ?? new Counts[CharacterOrder + wordOrder];
    }

    private List<NGrams> Grams(string text)
    {
        if (lowerCase) text = text.ToLowerInvariant();
        var words = MetricText.Words(text);
        var characters = MetricText.CodePoints(string.Concat(words));
        var parts = wordOrder > 0 ? WithoutPunctuation(words) : [];
        return [.. Enumerable.Range(1, CharacterOrder).Select(n => new NGrams(characters, n)), .. Enumerable.Range(1, wordOrder).Select(n => new NGrams(parts, n))];
    }

    /// <summary>One sign at the end of a word, else at its start, stands apart.</summary>
    private static List<string> WithoutPunctuation(List<string> words)
    {
        var parts = new List<string>();
        foreach (var word in words)
        {
            if (word.EnumerateRunes().Take(2).Count() < 2) parts.Add(word);
            else if (IsSign(word[^1])) parts.AddRange([word[..^1], word[^1..]]);
            else if (IsSign(word[0])) parts.AddRange([word[..1], word[1..]]);
            else parts.Add(word);
        }
        return parts;
    }

    private static bool IsSign(char c) => char.IsAscii(c) && (char.IsPunctuation(c) || char.IsSymbol(c));

    private static double Score(Counts[] counts)
    {
        var used = counts.Where(c => c is { Predicted: > 0, Wanted: > 0 }).ToList();
        if (used.Count == 0) return 0;
        var precision = used.Average(c => (double)c.Matches / c.Predicted);
        var recall = used.Average(c => (double)c.Matches / c.Wanted);
        return precision + recall > 0 ? 100 * (1 + BetaSquared) * precision * recall / (BetaSquared * precision + recall) : 0;
    }
}
