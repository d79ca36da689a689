using TokenMill.Shared.ChatTemplates;

namespace TokenMill.Training.Data;

/// <summary>
/// One micro-batch as a single stream of real tokens, no padding: example after example, each a segment that attends only to itself.
/// Row boundaries say which segments were laid side by side into one row of at most max_length tokens; they change no number
/// and only bound the memory of whoever works row by row.
/// <code>
/// Ids, Labels, Positions  (tokens)        Labels[t] is the target to predict from token t−1 of the same segment, −100 = none;
///                                         always −100 on the first token of a segment. Positions restart at 0 with each segment.
/// SegmentStarts           (segments + 1)  cumulative, like cu_seqlens of a varlen kernel
/// RowStarts               (rows + 1)      cumulative; every row boundary is a segment boundary
/// SegmentExamples         (segments)      place of the segment's example among those of the step;
///                                         preference pairs: 2k is the chosen answer of pair k, 2k+1 the rejected one
/// </code>
/// </summary>
public sealed record PackedBatch(int[] Ids, int[] Labels, int[] Positions, int[] SegmentStarts, int[] RowStarts, int[] SegmentExamples)
{
    public int Tokens => Ids.Length;
    public int Segments => SegmentExamples.Length;
    public int Rows => RowStarts.Length - 1;

    /// <summary>Tokens that carry a loss: the divisor is their sum over the whole accumulated batch, never per micro-batch.</summary>
    public int SupervisedTokens { get; } = Labels.Count(label => label != EncodedExample.Unsupervised);

    public int LongestSegment { get; } = SegmentStarts.Zip(SegmentStarts.Skip(1), (start, end) => end - start).DefaultIfEmpty().Max();
}
