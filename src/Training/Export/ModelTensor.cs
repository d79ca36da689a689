using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Training.Export;

/// <summary>Takes the next values of a tensor.</summary>
public delegate void ValueSink(ReadOnlySpan<float> values);

/// <summary>
/// A tensor of a model that is about to be written, with GGUF's name, dimensions and order of rows. Its values are
/// computed when asked for, whole rows at a time, so that no more than a piece of one tensor is in memory.
/// </summary>
public sealed record ModelTensor(string Name, IReadOnlyList<long> Dimensions, Action<ValueSink> ForEachPiece)
{
    /// <summary>The file's own bytes, where nothing changes them: their type, and how to copy them.</summary>
    public (GgufType Type, Action<Stream> Copy)? Stored { get; init; }

    /// <summary>What the values were stored in, and so the type to write them in where none is asked for.</summary>
    public GgufType Precision { get; init; } = GgufType.F32;

    public long RowLength => Dimensions[0];
    public bool IsMatrix => Dimensions.Count > 1;

    public float[] ReadAll()
    {
        var values = new float[Dimensions.Aggregate(1L, (product, d) => checked(product * d))];
        var done = 0;
        ForEachPiece(piece =>
        {
            piece.CopyTo(values.AsSpan(done));
            done += piece.Length;
        });
        return values;
    }
}
