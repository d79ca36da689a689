namespace TokenMill.Serving.Tests.Starter;

/// <summary>
/// What counting alone can do: a 3-gram model with interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998).
/// Each order subtracts a discount D1, D2 or D3 from counts of 1, 2 and more, estimated from the counts of counts, and gives what
/// it saves to the next lower order; lower orders count in how many contexts a token occurs, not how often.
/// </summary>
internal sealed class TrigramModel
{
    private const int BitsPerToken = 20, Start = (1 << BitsPerToken) - 1;

    private readonly Order _trigrams, _bigrams, _unigrams;
    private readonly double _uniform;

    public TrigramModel(IEnumerable<int[]> rows, int vocabulary)
    {
        var trigrams = new Dictionary<UInt128, int>();
        foreach (var row in rows)
            for (var i = 0; i < row.Length; i++)
            {
                var key = Key(At(row, i - 2), At(row, i - 1), row[i]);
                trigrams[key] = trigrams.GetValueOrDefault(key) + 1;
            }
        var bigrams = Continuations(trigrams.Keys, 2);
        _trigrams = new Order(trigrams);
        _bigrams = new Order(bigrams);
        _unigrams = new Order(Continuations(bigrams.Keys, 1));
        _uniform = 1.0 / vocabulary;
    }

    /// <summary>Natural log-probability of each token but the first, given those before it.</summary>
    public IEnumerable<double> LogProbabilities(int[] row)
    {
        for (var i = 1; i < row.Length; i++)
        {
            var unigram = _unigrams.Probability(Key(row[i]), _uniform);
            var bigram = _bigrams.Probability(Key(row[i - 1], row[i]), unigram);
            yield return Math.Log(_trigrams.Probability(Key(At(row, i - 2), row[i - 1], row[i]), bigram));
        }
    }

    /// <summary>Sum of the probabilities of every token after a context: 1 if the smoothing is right.</summary>
    public double TotalProbability(int first, int second, int vocabulary) =>
        Enumerable.Range(0, vocabulary).Sum(token => Math.Exp(LogProbabilities([first, second, token]).Last()));

    private static int At(int[] row, int index) => index < 0 ? Start : row[index];

    private static UInt128 Key(params ReadOnlySpan<int> tokens)
    {
        UInt128 key = 0;
        foreach (var token in tokens) key = key << BitsPerToken | (uint)token;
        return key;
    }

    /// <summary>How many different tokens stand before each of the shorter n-grams.</summary>
    private static Dictionary<UInt128, int> Continuations(IEnumerable<UInt128> longer, int length)
    {
        var mask = ((UInt128)1 << BitsPerToken * length) - 1;
        var counts = new Dictionary<UInt128, int>();
        foreach (var key in longer) counts[key & mask] = counts.GetValueOrDefault(key & mask) + 1;
        return counts;
    }

    private sealed class Order
    {
        private readonly Dictionary<UInt128, int> _counts;
        private readonly Dictionary<UInt128, (long Total, double Saved)> _contexts = [];
        private readonly double[] _discounts;

        public Order(Dictionary<UInt128, int> counts)
        {
            _counts = counts;
            var n = new double[5];
            foreach (var count in counts.Values)
                if (count < n.Length) n[count]++;
            var y = n[1] / (n[1] + 2 * n[2]);
            _discounts = [0, Discount(1), Discount(2), Discount(3)];
            foreach (var (key, count) in counts)
            {
                var (total, saved) = _contexts.GetValueOrDefault(key >> BitsPerToken);
                _contexts[key >> BitsPerToken] = (total + count, saved + Of(count));
            }

            // Too few counts to estimate from: absolute discounting by one half.
            double Discount(int k) => n[k] > 0 && n[k + 1] > 0 ? Math.Clamp(k - (k + 1) * y * n[k + 1] / n[k], 0.05, k) : 0.5;
        }

        public double Probability(UInt128 key, double lower)
        {
            if (!_contexts.TryGetValue(key >> BitsPerToken, out var context)) return lower;
            var count = _counts.GetValueOrDefault(key);
            return (count - Of(count) + context.Saved * lower) / context.Total;
        }

        private double Of(int count) => _discounts[Math.Min(count, 3)];
    }
}
