using System.Runtime.InteropServices;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Training.Torch;

/// <summary>
/// Rows of a matrix in the types of a GGUF file, expanded by the decoder that reads such files: the values are the same to the bit.
/// Several tensors may lie below each other. Any thread may read.
/// </summary>
public sealed class StoredRows
{
    private const int ValuesPerPiece = 1 << 16;             // enough work for a thread

    private readonly List<(GgufType Type, byte[] Bytes, int First, int Count)> _parts = [];

    public StoredRows(int width) => Width = width;

    public int Width { get; }
    public int Count { get; private set; }

    /// <param name="bytes">Whole rows, as stored.</param>
    public void Add(GgufType type, byte[] bytes)
    {
        var count = bytes.Length / RowBytes(type);
        _parts.Add((type, bytes, Count, count));
        Count += count;
    }

    public void Add(float[] values) => Add(GgufType.F32, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());

    /// <summary>Rows [first, first + count) to target (count × width), on all threads.</summary>
    internal unsafe void Expand(int first, int count, float* target)
    {
        var rowsPerPiece = Math.Max(1, ValuesPerPiece / Width);
        var pieces = (count + rowsPerPiece - 1) / rowsPerPiece;
        Parallel.For(0, pieces, new ParallelOptions { MaxDegreeOfParallelism = TorchRuntime.Threads }, piece =>
        {
            var from = piece * rowsPerPiece;
            var rows = Math.Min(rowsPerPiece, count - from);
            Expand(first + from, new Span<float>(target + (long)from * Width, rows * Width));
        });
    }

    /// <summary>As many rows from <paramref name="first"/> on as the target holds.</summary>
    public void Expand(int first, Span<float> target)
    {
        foreach (var (type, bytes, begin, count) in _parts)
        {
            if (target.Length == 0) return;
            if (first >= begin + count) continue;
            var rows = Math.Min(begin + count - first, target.Length / Width);
            var rowBytes = RowBytes(type);
            GgufDecoder.Decode(type, bytes.AsSpan((first - begin) * rowBytes, rows * rowBytes), target[..(rows * Width)]);
            first += rows;
            target = target[(rows * Width)..];
        }
    }

    private int RowBytes(GgufType type)
    {
        var (elements, bytes) = type.Block();
        return Width / elements * bytes;
    }
}
