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

    private readonly float[] _scores = new float[vocabularySize];
    private readonly List<(int Token, float Probability)> _candidates = [];
    private readonly Dictionary<int, int> _answered = [];
    private readonly bool _penalises = options.FrequencyPenalty != 0 || options.PresencePenalty != 0 || options.RepetitionPenalty != 1;
    private ulong _random = unchecked((ulong)(options.Seed ?? System.Random.Shared.NextInt64()));

    public int Sample(ReadOnlySpan<float> logits)
    {
        var token = Choose(Adjust(logits));
        if (grammar is not null && !grammar.Allows(token))
        {
            if (Adjust(logits) == logits) logits.CopyTo(_scores);
            if (!grammar.Mask(_scores)) return None;
            token = Choose(_scores);
        }
        grammar?.Accept(token);
        if (_penalises) _answered[token] = _answered.GetValueOrDefault(token) + 1;
        return token;
    }

    private ReadOnlySpan<float> Adjust(ReadOnlySpan<float> logits)
    {
        if (!_penalises && options.LogitBias.Count == 0) return logits;
        logits.CopyTo(_scores);
        foreach (var (token, count) in _answered)
        {
            ref var score = ref _scores[token];
            score = (float)(score > 0 ? score / options.RepetitionPenalty : score * options.RepetitionPenalty);
            score -= (float)(count * options.FrequencyPenalty + options.PresencePenalty);
        }
        foreach (var (token, bias) in options.LogitBias) _scores[token] += (float)bias;
        return _scores;
    }

    private int Choose(ReadOnlySpan<float> scores)
    {
        if (options.Temperature <= 0) return TensorPrimitives.IndexOfMax(scores);
        // Subtracting the maximum first keeps a tiny temperature from overflowing.
        TensorPrimitives.Subtract(scores, TensorPrimitives.Max(scores), _scores);
        TensorPrimitives.Multiply(_scores, (float)(1 / options.Temperature), _scores);
        TensorPrimitives.SoftMax(_scores, _scores);
        return options is { TopK: <= 0, TopP: >= 1, MinP: <= 0 } ? DrawFromAll() : DrawFromCandidates();
    }

    private int DrawFromAll()
    {
        var left = NextUniform() * TensorPrimitives.Sum(_scores);
        for (var token = 0; token < _scores.Length; token++)
            if ((left -= _scores[token]) < 0) return token;
        return TensorPrimitives.IndexOfMax(_scores);           // rounding ate the rest
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
        var least = options.MinP * TensorPrimitives.Max(_scores);
        if (options.TopK > 0)
        {
            var best = new PriorityQueue<int, (float, int)>();
            for (var token = 0; token < _scores.Length; token++)
            {
                if (_scores[token] < least) continue;
                if (best.Count < options.TopK) best.Enqueue(token, (_scores[token], -token));
                else best.EnqueueDequeue(token, (_scores[token], -token));
            }
            foreach (var (token, _) in best.UnorderedItems) _candidates.Add((token, _scores[token]));
            return;
        }
        if (options.TopP < 1) least = Math.Max(least, (1 - options.TopP) / _scores.Length);
        least = Math.Min(least, TensorPrimitives.Max(_scores));   // the likeliest always stays
        for (var token = 0; token < _scores.Length; token++)
            if (_scores[token] >= least) _candidates.Add((token, _scores[token]));
    }

    private void CutNucleus()
    {
        var all = 0.0;
        if (options.TopK > 0) foreach (var (_, probability) in _candidates) all += probability;
        else all = TensorPrimitives.Sum(_scores);
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
