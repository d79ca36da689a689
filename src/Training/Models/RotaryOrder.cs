namespace TokenMill.Training.Models;

/// <summary>
/// The order of rows inside a head of q and k. Hugging Face pairs row j with row j + d/2; GGUF files of some families pair
/// 2j with 2j + 1. Everything in the trainer is in Hugging Face's order; these two convert at the border. A matrix is rows
/// of <c>width</c> values (or bytes, where they are stored otherwise), a bias has width 1.
/// </summary>
public static class RotaryOrder
{
    public static void FromGguf<T>(Span<T> matrix, int heads, int width) => Reorder(matrix, heads, width, fromGguf: true);

    public static void ToGguf<T>(Span<T> matrix, int heads, int width) => Reorder(matrix, heads, width, fromGguf: false);

    private static void Reorder<T>(Span<T> matrix, int heads, int width, bool fromGguf)
    {
        if (heads == 0) return;
        var rows = matrix.Length / width;
        var (headDim, half) = (rows / heads, rows / heads / 2);
        var copy = matrix.ToArray();
        for (var head = 0; head < heads; head++)
            for (var j = 0; j < half; j++)
                for (var side = 0; side < 2; side++)
                {
                    var apart = head * headDim + side * half + j;
                    var beside = head * headDim + 2 * j + side;
                    var (from, to) = fromGguf ? (beside, apart) : (apart, beside);
                    copy.AsSpan(from * width, width).CopyTo(matrix[(to * width)..]);
                }
    }
}
