using TokenMill.Training.Models;

namespace TokenMill.Training.Loop;

/// <summary>
/// Which examples each step sees: a new permutation every epoch, that follows from the seed alone, so that the number of
/// steps done is all a resumed run needs to know. The last step of an epoch takes what is left.
/// </summary>
public sealed class BatchOrder(int examples, int perStep, bool shuffle, long seed)
{
    private int _epoch = -1;
    private int[] _order = [];

    public int StepsPerEpoch { get; } = (examples + perStep - 1) / perStep;

    /// <summary>Indices of the examples of a step, counted from 0.</summary>
    public int[] Examples(int step)
    {
        var (epoch, within) = (step / StepsPerEpoch, step % StepsPerEpoch);
        if (epoch != _epoch) (_epoch, _order) = (epoch, Permutation(epoch));
        return _order[(within * perStep)..Math.Min((within + 1) * perStep, examples)];
    }

    /// <summary>Epochs done after so many steps.</summary>
    public double Epoch(int steps) => (double)steps / StepsPerEpoch;

    private int[] Permutation(int epoch)
    {
        var order = Enumerable.Range(0, examples).ToArray();
        if (!shuffle) return order;
        var random = new SeededRandom(SeededRandom.Mix(seed, $"epoch {epoch}"));
        for (var i = order.Length - 1; i > 0; i--)
        {
            var j = (int)(random.Next() % (ulong)(i + 1));
            (order[i], order[j]) = (order[j], order[i]);
        }
        return order;
    }
}
