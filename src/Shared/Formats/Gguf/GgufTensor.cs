namespace TokenMill.Shared.Formats.Gguf;

/// <summary>
/// One tensor of a file. <paramref name="Dimensions"/> are in GGUF order: the first one is the length of a row, so a
/// matrix (out, in) of torch is [in, out] here. <paramref name="Offset"/> counts from the beginning of the file.
/// </summary>
public sealed record GgufTensor(string Name, IReadOnlyList<long> Dimensions, GgufType Type, long Offset)
{
    public long RowLength => Dimensions[0];
    public long Elements { get; } = Dimensions.Aggregate(1L, (product, d) => checked(product * d));
    public long Rows => Elements / RowLength;
    public long SizeBytes => Bytes(Elements);
    public long RowBytes => Bytes(RowLength);

    public bool Has(params ReadOnlySpan<long> dimensions)
    {
        // Dimensions of one at the end say nothing: [64] is [64, 1].
        for (var i = 0; i < Math.Max(dimensions.Length, Dimensions.Count); i++)
            if ((i < dimensions.Length ? dimensions[i] : 1) != (i < Dimensions.Count ? Dimensions[i] : 1)) return false;
        return true;
    }

    private long Bytes(long elements)
    {
        var (blockElements, blockBytes) = Type.Block();
        return checked(elements / blockElements * blockBytes);
    }
}
