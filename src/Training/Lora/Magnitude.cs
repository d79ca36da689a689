using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using TokenMill.Training.Torch;
using Tensor = TokenMill.Training.Torch.Tensor;

namespace TokenMill.Training.Lora;

/// <summary>
/// DoRA (Liu et al., 2024): the rows of W + scale·B·A give directions only, and their lengths are trained apart. The lengths that
/// they have by themselves are measured after each step and taken as constant in the gradient, as the paper proposes.
/// </summary>
/// <param name="Rows">The trained lengths (outputs).</param>
/// <param name="Lengths">What the rows of W + scale·B·A measure (outputs).</param>
public sealed record Magnitude(Tensor Rows, Tensor Lengths) : IDisposable
{
    /// <summary>What each output is multiplied with (outputs).</summary>
    public Tensor Factors() => Operators.Divide(Rows, Lengths);

    /// <summary>
    /// Measures the rows without forming W + scale·B·A: ‖w‖² + 2·scale·b·(A·w) + scale²·b·(A·Aᵀ)·b for each row w of W and b of B.
    /// </summary>
    /// <param name="weight">W, perhaps with other projections' rows around it.</param>
    /// <param name="firstRow">Of this projection.</param>
    /// <param name="weightLengths">‖w‖ of its rows.</param>
    public void Measure(LoraPair pair, LinearWeight weight, int firstRow, ReadOnlySpan<float> weightLengths)
    {
        using var scope = new TensorScope();
        using var mode = TorchRuntime.WithoutGradient();
        var product = FusedOperators.Linear(Operators.Convert(pair.A, weight.Type), weight, null, null, [], 0, 0).ToFloats();        // A·Wᵀ (rank, all outputs)
        var gram = Operators.MatrixProduct(pair.A, Operators.Transpose(pair.A)).ToFloats();                                          // A·Aᵀ (rank, rank)
        var (b, rank, outputs, scale) = (pair.B.ToFloats(), (int)pair.A.Shape[0], (int)weight.Outputs, (double)pair.Scale);
        var lengths = new float[weightLengths.Length];
        for (var o = 0; o < lengths.Length; o++)
        {
            var row = b.AsSpan(o * rank, rank);
            var (along, across) = (0.0, 0.0);
            for (var r = 0; r < rank; r++)
            {
                along += row[r] * product[r * outputs + firstRow + o];
                across += row[r] * TensorPrimitives.Dot<float>(gram.AsSpan(r * rank, rank), row);
            }
            var squared = (double)weightLengths[o] * weightLengths[o] + 2 * scale * along + scale * scale * across;
            lengths[o] = (float)Math.Sqrt(Math.Max(squared, float.Epsilon));
        }
        Lengths.Write(MemoryMarshal.AsBytes(lengths.AsSpan()));
    }

    /// <summary>The length of each row of a weight.</summary>
    public static float[] LengthsOf(ReadOnlySpan<float> weight, int width)
    {
        var lengths = new float[weight.Length / width];
        for (var row = 0; row < lengths.Length; row++) lengths[row] = TensorPrimitives.Norm(weight.Slice(row * width, width));
        return lengths;
    }

    public void Dispose()
    {
        Rows.Dispose();
        Lengths.Dispose();
    }
}
