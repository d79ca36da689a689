namespace TokenMill.Web.Features.Evaluation.Metrics;

public enum BleuSmoothing
{
    /// <summary>The k-th order without a match counts 2^-k matches.</summary>
    Exponential,

    /// <summary>An order without a match counts 0.1 matches.</summary>
    Floor,

    /// <summary>Orders above one count one match and one n-gram more.</summary>
    AddOne,

    None,
}

/// <summary>BLEU (Papineni et al., 2002) as sacrebleu computes it, 0…100.</summary>
public sealed class Bleu(TextTokenizer tokenizer = TextTokenizer.Default, bool lowerCase = false, BleuSmoothing smoothing = BleuSmoothing.Exponential)
{
    private const int MaxOrder = 4;
    private const double FloorMatches = 0.1;

    /// <summary>One sentence; orders longer than it do not count.</summary>
    public double Sentence(string prediction, IReadOnlyList<string> references) => Score([(prediction, references)], effectiveOrder: true);

    /// <summary>A whole corpus, matches and lengths added up first.</summary>
    public double Corpus(IReadOnlyList<(string Prediction, IReadOnlyList<string> References)> pairs) => Score(pairs, effectiveOrder: false);

    private double Score(IReadOnlyList<(string Prediction, IReadOnlyList<string> References)> pairs, bool effectiveOrder)
    {
        double[] matches = new double[MaxOrder], totals = new double[MaxOrder];
        long length = 0, referenceLength = 0;
        foreach (var (prediction, references) in pairs)
        {
            var ours = Tokenize(prediction);
            var theirs = references.Select(Tokenize).ToList();
            length += ours.Count;
            referenceLength += Closest(ours.Count, theirs.Select(t => t.Count));
            for (var n = 1; n <= MaxOrder; n++)
            {
                var grams = new NGrams(ours, n);
                totals[n - 1] += grams.Total;
                if (theirs.Count > 0) matches[n - 1] += grams.Matches([.. theirs.Select(t => new NGrams(t, n))]);
            }
        }
        if (matches.All(m => m == 0)) return 0;
        var brevityPenalty = length < referenceLength ? Math.Exp(1 - (double)referenceLength / length) : 1;
        return 100 * brevityPenalty * GeometricMean(matches, totals, effectiveOrder);
    }

    private double GeometricMean(double[] matches, double[] totals, bool effectiveOrder)
    {
        var precisions = new double[MaxOrder];
        var order = MaxOrder;
        var smoothed = 1.0;
        for (var n = 0; n < MaxOrder; n++)
        {
            var extra = smoothing == BleuSmoothing.AddOne && n > 0 ? 1 : 0;
            var (match, total) = (matches[n] + extra, totals[n] + extra);
            if (total == 0) break;
            if (effectiveOrder) order = n + 1;
            if (match == 0 && smoothing == BleuSmoothing.Exponential) match = 1 / (smoothed *= 2);
            else if (match == 0 && smoothing == BleuSmoothing.Floor) match = FloorMatches;
            precisions[n] = match / total;
        }
        return precisions.Take(order).Contains(0) ? 0 : Math.Exp(precisions.Take(order).Sum(Math.Log) / order);
    }

    private List<string> Tokenize(string text)
    {
        var trimmed = MetricText.TrimEnd(text);
        return TextTokenizers.Tokenize(lowerCase ? trimmed.ToLowerInvariant() : trimmed, tokenizer);
    }

    /// <summary>The reference length nearest to ours, the shorter of two equally near.</summary>
    private static int Closest(int length, IEnumerable<int> references) =>
        references.OrderBy(r => Math.Abs(r - length)).ThenBy(r => r).FirstOrDefault();
}
