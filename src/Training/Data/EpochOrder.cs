using TokenMill.Training.Models;

namespace TokenMill.Training.Data;

/// <summary>A run of examples that comes from one source, and how often an epoch visits each of them.</summary>
public readonly record struct SourceRange(int First, int Count, double Weight)
{
    /// <summary>Visits an epoch.</summary>
    public int Visits => (int)Math.Round(Count * Weight);
}

/// <summary>
/// Which examples each step sees. Every epoch has a permutation of its own that follows from seed and epoch alone, so the number of steps done
/// is all a resumed run needs to know. A source of weight 2 is visited twice an epoch; of one of weight 0.3 each epoch draws another three tenths.
/// The last step of an epoch takes what is left.
/// </summary>
public sealed class EpochOrder
{
    private readonly IReadOnlyList<SourceRange> _sources;
    private readonly int _perStep;
    private readonly bool _shuffle;
    private readonly long _seed;
    private int _epoch = -1;
    private int[] _order = [];

    public EpochOrder(IReadOnlyList<SourceRange> sources, int perStep, bool shuffle, long seed)
    {
        (_sources, _perStep, _shuffle, _seed) = (sources, perStep, shuffle, seed);
        ExamplesPerEpoch = sources.Sum(s => s.Visits);
        StepsPerEpoch = (ExamplesPerEpoch + perStep - 1) / perStep;
    }

    public int ExamplesPerEpoch { get; }
    public int StepsPerEpoch { get; }

    /// <summary>Indices of the examples of a step, counted from 0 over all epochs.</summary>
    public ReadOnlySpan<int> Step(int step)
    {
        var (epoch, within) = Math.DivRem(step, StepsPerEpoch);
        if (epoch != _epoch) (_epoch, _order) = (epoch, Order(epoch));
        return _order.AsSpan(within * _perStep, Math.Min(_perStep, ExamplesPerEpoch - within * _perStep));
    }

    private int[] Order(int epoch)
    {
        var order = new List<int>(ExamplesPerEpoch);
        for (var s = 0; s < _sources.Count; s++)
        {
            var (first, count, _) = _sources[s];
            var left = _sources[s].Visits;
            for (; count > 0 && left >= count; left -= count) order.AddRange(Enumerable.Range(first, count));
            if (left == 0) continue;
            int[] drawn = [.. Enumerable.Range(first, count)];
            Shuffle(drawn, $"epoch {epoch} source {s}");
            Array.Resize(ref drawn, left);
            if (!_shuffle) Array.Sort(drawn);
            order.AddRange(drawn);
        }
        int[] result = [.. order];
        if (_shuffle) Shuffle(result, $"epoch {epoch}");
        return result;
    }

    /// <summary>Fisher and Yates.</summary>
    private void Shuffle(int[] items, string purpose)
    {
        var random = new SeededRandom(SeededRandom.Mix(_seed, purpose));
        for (var i = items.Length - 1; i > 0; i--)
        {
            var j = (int)(random.Next() % (ulong)(i + 1));
            (items[i], items[j]) = (items[j], items[i]);
        }
    }
}
