using TokenMill.Shared.ChatTemplates;

namespace TokenMill.Training.Data;

/// <summary>
/// Lays the examples of a micro-batch into as few rows of max_length as first-fit-decreasing finds
/// (at most 11/9 of the optimum, Johnson 1973). Without packing, each example is a row of its own.
/// </summary>
public static class Packing
{
    public static PackedBatch Pack(IReadOnlyList<EncodedExample> examples, int maxLength, bool packing)
    {
        var rows = packing ? FirstFitDecreasing(examples, maxLength) : [.. Enumerable.Range(0, examples.Count).Select(i => new List<int> { i })];
        var tokens = examples.Sum(e => e.Ids.Length);
        var (ids, labels, positions) = (new int[tokens], new int[tokens], new int[tokens]);
        var segmentStarts = new List<int>(examples.Count + 1);
        var rowStarts = new List<int>(rows.Count + 1);
        var order = new List<int>(examples.Count);
        var at = 0;
        foreach (var row in rows)
        {
            rowStarts.Add(at);
            foreach (var index in row)
            {
                var (exampleIds, exampleLabels) = examples[index];
                segmentStarts.Add(at);
                order.Add(index);
                exampleIds.CopyTo(ids, at);
                exampleLabels.CopyTo(labels, at);
                labels[at] = EncodedExample.Unsupervised;      // nothing stands before the first token to predict it from
                for (var position = 0; position < exampleIds.Length; position++) positions[at + position] = position;
                at += exampleIds.Length;
            }
        }
        segmentStarts.Add(at);
        rowStarts.Add(at);
        return new PackedBatch(ids, labels, positions, [.. segmentStarts], [.. rowStarts], [.. order]);
    }

    private static List<List<int>> FirstFitDecreasing(IReadOnlyList<EncodedExample> examples, int maxLength)
    {
        var rows = new List<List<int>>();
        var free = new List<int>();
        foreach (var index in Enumerable.Range(0, examples.Count).OrderByDescending(i => examples[i].Ids.Length))   // stable: ties keep their order
        {
            var length = examples[index].Ids.Length;
            if (length > maxLength) throw new ArgumentException($"an example of {length} tokens does not fit a row of {maxLength}", nameof(examples));
            var row = free.FindIndex(space => space >= length);
            if (row < 0)
            {
                row = rows.Count;
                rows.Add([]);
                free.Add(maxLength);
            }
            rows[row].Add(index);
            free[row] -= length;
        }
        return rows;
    }
}
