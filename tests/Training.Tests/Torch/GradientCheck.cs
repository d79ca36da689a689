using TokenMill.Training.Torch;

namespace TokenMill.Training.Tests.Torch;

/// <summary>
/// Compares an operator and its gradient with a slow implementation in double precision: the outputs directly, the gradients
/// of a random weighting of the outputs with central differences of the slow one.
/// </summary>
internal static class GradientCheck
{
    public sealed record Input(double[] Values, long[] Shape);

    private const double Step = 1e-4;

    public static Input Random(Random random, double spread, params long[] shape) =>
        new([.. Enumerable.Range(0, (int)shape.Aggregate(1L, (product, size) => product * size)).Select(_ => (random.NextDouble() * 2 - 1) * spread)], shape);

    /// <returns>The worst difference of an output and of a gradient, relative to the greatest value of each.</returns>
    public static (double Output, double Gradient) Worst(Random random, IReadOnlyList<Input> inputs, Func<Tensor[], Tensor> op, Func<double[][], double[]> slow, TensorType type = TensorType.Float32)
    {
        using var scope = new TensorScope();
        // The slow one starts from the numbers as the operator sees them.
        var values = inputs.Select(input => input.Values.Select(value => type == TensorType.BFloat16 ? RoundToBFloat16(value) : (float)value).Select(value => (double)value).ToArray()).ToArray();
        var leaves = inputs.Select((input, i) => Tensor.From([.. values[i].Select(value => (float)value)], input.Shape).RequireGradient()).ToArray();
        var output = op(leaves);
        var expected = slow(values);
        var weights = expected.Select(_ => random.NextDouble() * 2 - 1).ToArray();
        var weighted = Operators.Multiply(Operators.Convert(output, TensorType.Float32), Tensor.From([.. weights.Select(weight => (float)weight)], output.Shape));
        Operators.Sum(weighted).Backward(1);

        var worstGradient = 0.0;
        for (var i = 0; i < values.Length; i++)
        {
            var slope = new double[values[i].Length];
            for (var j = 0; j < slope.Length; j++)
            {
                var kept = values[i][j];
                values[i][j] = kept + Step;
                var above = Dot(slow(values), weights);
                values[i][j] = kept - Step;
                var below = Dot(slow(values), weights);
                values[i][j] = kept;
                slope[j] = (above - below) / (2 * Step);
            }
            worstGradient = Math.Max(worstGradient, Distance(slope, leaves[i].Gradient()!.ToFloats()));
        }
        return (Distance(expected, output.ToFloats()), worstGradient);
    }

    public static double Distance(double[] expected, float[] actual) =>
        expected.Zip(actual, (e, a) => Math.Abs(e - a)).Max() / Math.Max(expected.Max(Math.Abs), 1e-3);

    private static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();

    private static float RoundToBFloat16(double value)
    {
        var bits = BitConverter.SingleToUInt32Bits((float)value);
        return BitConverter.UInt32BitsToSingle(bits + 0x7FFF + (bits >> 16 & 1) & 0xFFFF0000);
    }
}
