using TokenMill.Training.Data;

namespace TokenMill.Training.Forecast;

/// <summary>What decides the cost of one pass through a model.</summary>
/// <param name="Tokens">All of them.</param>
/// <param name="Squares">Σ length² of its segments: attention's share.</param>
/// <param name="Supervised">Tokens with a loss: the head's share.</param>
public sealed record PassShape(int Tokens, long Squares, int Supervised)
{
    public static PassShape Of(PackedBatch batch) => new(batch.Tokens, batch.SegmentStarts.Zip(batch.SegmentStarts.Skip(1), (start, end) => (long)(end - start) * (end - start)).Sum(), batch.SupervisedTokens);
}
