using System.Numerics.Tensors;
using TokenMill.Serving.Grammars;

namespace TokenMill.Serving.Sampling;

/// <summary>
/// Chooses tokens of one answer: penalties and bias, then temperature, top-k, top-p, min-p (each on what the one before left),
/// then a draw. The order is that of the transformers library.
/// <para>
/// Under a grammar a token is drawn freely first, and again among the allowed ones if it was not allowed: with p its probability and Z that of all
/// allowed tokens, an allowed token then has p + (1 − Z) p / Z = p / Z, as if the others had never been there; and mostly no mask is needed.
/// </para>
/// </summary>
internal sealed class Sampler(SamplingOptions options, int vocabularySize, GrammarConstraint? grammar = null)
{
    /// <summary>No token of the vocabulary is allowed.</summary>
    public const int None = -1;

    private readonly List<(int Token, float Probability)> _candidates = [];
    private readonly PriorityQueue<int, (float Score, int)> _best = new();
    private readonly Dictionary<int, int> _answered = [];
    private readonly bool _penalises = options.FrequencyPenalty != 0 || options.PresencePenalty != 0 || options.RepetitionPenalty != 1;
    private ulong _random = unchecked((ulong)(options.Seed ?? System.Random.Shared.NextInt64()));

    /// <summary>As wide as the vocabulary; the likeliest token is found without it.</summary>
    private float[] Scores => field ??= new float[vocabularySize];

    public int Sample(ReadOnlySpan<float> logits)
    {
        var token = Choose(Adjust(logits));
        if (grammar is not null && !grammar.Allows(token))
        {
            if (Adjust(logits) == logits) logits.CopyTo(Scores);
            if (!grammar.Mask(Scores)) return None;
            token = Choose(Scores);
        }
        grammar?.Accept(token);
        if (_penalises) _answered[token] = _answered.GetValueOrDefault(token) + 1;
        return token;
    }

    private ReadOnlySpan<float> Adjust(ReadOnlySpan<float> logits)
    {
        if (!_penalises && options.LogitBias.Count == 0) return logits;
        logits.CopyTo(Scores);
        foreach (var (token, count) in _answered)
        {
            ref var score = ref Scores[token];
            score = (float)(score > 0 ? score / options.RepetitionPenalty : score * options.RepetitionPenalty);
            score -= (float)(count * options.FrequencyPenalty + options.PresencePenalty);
        }
        foreach (var (token, bias) in options.LogitBias) Scores[token] += (float)bias;
        return Scores;
    }

    private int Choose(ReadOnlySpan<float> scores)
    {
        if (options.Temperature <= 0) return TensorPrimitives.IndexOfMax(scores);
        // Subtracting the maximum first keeps a tiny temperature from overflowing.
        TensorPrimitives.Subtract(scores, TensorPrimitives.Max(scores), Scores);
        TensorPrimitives.Multiply(Scores, (float)(1 / options.Temperature), Scores);
        TensorPrimitives.SoftMax(Scores, Scores);
        return options is { TopK: <= 0, TopP: >= 1, MinP: <= 0 } ? DrawFromAll() : DrawFromCandidates();
    }

    private int DrawFromAll()
    {
        var left = NextUniform() * TensorPrimitives.Sum(Scores);
        for (var token = 0; token < Scores.Length; token++)
            if ((left -= Scores[token]) < 0) return token;
        return TensorPrimitives.IndexOfMax(Scores);           // rounding ate the rest
    }

    private int DrawFromCandidates()
    {
        Gather();
        _candidates.Sort((a, b) => a.Probability != b.Probability ? b.Probability.CompareTo(a.Probability) : a.Token.CompareTo(b.Token));
        if (options.TopK > 0 && _candidates.Count > options.TopK) _candidates.RemoveRange(options.TopK, _candidates.Count - options.TopK);
        if (options.TopP < 1) CutNucleus();
        if (options.MinP > 0)
        {
            var least = options.MinP * _candidates[0].Probability;
            _candidates.RemoveAll(c => c.Probability < least);
        }
        var sum = 0.0;
        foreach (var (_, probability) in _candidates) sum += probability;
        var left = NextUniform() * sum;
        foreach (var (token, probability) in _candidates)
            if ((left -= probability) < 0) return token;
        return _candidates[0].Token;
    }

    /// <summary>
    /// Collects what can be drawn at all, so that not the whole vocabulary is sorted: what is below min-p never is; and all tokens
    /// below (1 − top-p) / vocabulary together have less than the 1 − top-p that is cut. With top-k a heap keeps the k best.
    /// </summary>
    private void Gather()
    {
        _candidates.Clear();
        var least = options.MinP * TensorPrimitives.Max(Scores);
        if (options.TopK > 0)
        {
            for (var token = 0; token < Scores.Length; token++)
            {
                if (Scores[token] < least) continue;
                if (_best.Count < options.TopK) _best.Enqueue(token, (Scores[token], -token));
                else _best.EnqueueDequeue(token, (Scores[token], -token));
            }
            while (_best.TryDequeue(out var token, out var place)) _candidates.Add((token, place.Score));
            return;
        }
        if (options.TopP < 1) least = Math.Max(least, (1 - options.TopP) / Scores.Length);
        least = Math.Min(least, TensorPrimitives.Max(Scores));   // the likeliest always stays
        for (var token = 0; token < Scores.Length; token++)
            if (Scores[token] >= least) _candidates.Add((token, Scores[token]));
    }

    private void CutNucleus()
    {
        var all = 0.0;
        if (options.TopK > 0) foreach (var (_, probability) in _candidates) all += probability;
        else all = TensorPrimitives.Sum(Scores);
        var (sum, kept) = (0.0, 0);
        while (kept < _candidates.Count && (kept == 0 || sum < options.TopP * all)) sum += _candidates[kept++].Probability;
        _candidates.RemoveRange(kept, _candidates.Count - kept);
    }

    /// <summary>SplitMix64 (Steele, Lea, Flood 2014): 53 random bits as a number in [0, 1).</summary>
    private double NextUniform()
    {
        var z = _random += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return ((z ^ (z >> 31)) >> 11) * (1.0 / (1UL << 53));
    }
}
