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
    /// <summary>Enough rows for matrix products at full speed; more only costs memory.</summary>
    public const int TokensAtOnce = 1024;

    /// <param name="answers">Sequences that belong together: 2 for pairs of answers.</param>
    public static IReadOnlyList<PackedBatch> Of(IReadOnlyList<EncodedExample> examples, int batchSize, int maxLength, bool packing, int answers = 1)
    {
        var first = 0;
        return [.. (packing ? ByTokens(examples, answers) : examples.Chunk(batchSize * answers)).Select(group =>
        {
            var batch = Packing.Pack(group, maxLength, packing);
            batch = batch with { SegmentExamples = [.. batch.SegmentExamples.Select(example => first + example)] };
            first += group.Count;
            return batch;
        })];
    }

    private static IEnumerable<IReadOnlyList<EncodedExample>> ByTokens(IReadOnlyList<EncodedExample> examples, int answers)
    {
        // Passes of about equal size: as many as the budget needs, each filled up to its share.
        var total = examples.Sum(example => (long)example.Ids.Length);
        var share = total / Math.Max(1, (total + TokensAtOnce - 1) / TokensAtOnce) + 1;
        var (group, tokens) = (new List<EncodedExample>(), 0L);
        foreach (var together in examples.Chunk(answers))
        {
            var length = together.Sum(example => example.Ids.Length);
            if (group.Count > 0 && tokens + length / 2 > share)
            {
                yield return group;
                (group, tokens) = ([], 0);
            }
            group.AddRange(together);
            tokens += length;
        }
        if (group.Count > 0) yield return group;
    }
}
