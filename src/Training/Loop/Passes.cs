using TokenMill.Shared.ChatTemplates;
using TokenMill.Training.Data;

namespace TokenMill.Training.Loop;

/// <summary>
/// Divides the examples of a step into passes through the model. The loss is a sum over tokens, so the division changes
/// only rounding, memory and speed: with packing, passes of about <see cref="TokensAtOnce"/> tokens; without, one
/// pass for each micro-batch of batch_size examples, as asked.
/// </summary>
public static class Passes
{
    /// <summary>Enough rows for matrix products at full speed; activations of a small model stay within a few hundred MB.</summary>
    public const int TokensAtOnce = 2048;

    public static IReadOnlyList<PackedBatch> Of(IReadOnlyList<EncodedExample> examples, int batchSize, int maxLength, bool packing)
    {
        var groups = packing ? ByTokens(examples) : examples.Chunk(batchSize);
        return [.. groups.Select(group => Packing.Pack(group, maxLength, packing))];
    }

    private static IEnumerable<IReadOnlyList<EncodedExample>> ByTokens(IReadOnlyList<EncodedExample> examples)
    {
        // Passes of about equal size: as many as the budget needs, each filled up to its share.
        var total = examples.Sum(example => (long)example.Ids.Length);
        var share = total / Math.Max(1, (total + TokensAtOnce - 1) / TokensAtOnce) + 1;
        var (group, tokens) = (new List<EncodedExample>(), 0L);
        foreach (var example in examples)
        {
            if (group.Count > 0 && tokens + example.Ids.Length / 2 > share)
            {
                yield return group;
                (group, tokens) = ([], 0);
            }
            group.Add(example);
            tokens += example.Ids.Length;
        }
        if (group.Count > 0) yield return group;
    }
}
