using System.Diagnostics;
using TokenMill.Training.Torch;

namespace TokenMill.Benchmarks;

/// <summary>What this machine's packed matrix products give at this moment: the products of one SmolLM2 layer, forward and back, 1,024 rows at once.</summary>
internal static class ProductProbe
{
    private const int Rows = 1024;
    private static readonly (int Outputs, int Inputs)[] Shapes = [(960, 576), (576, 960), (576, 576), (576, 576), (3072, 576), (576, 3072), (576, 1536), (1536, 576)];

    /// <summary>GFLOP/s, the best of a second: others on the machine only take away.</summary>
    public static double Measure(TensorType type)
    {
        TorchRuntime.UseThreads(Environment.ProcessorCount);
        using var scope = new TensorScope();
        using var mode = TorchRuntime.WithoutGradient();
        var weights = Shapes.Select(shape => Packed(shape.Outputs, shape.Inputs, type)).ToList();
        var inputs = Shapes.Select(shape => Operators.Convert(Tensor.From(new float[Rows * shape.Inputs], Rows, shape.Inputs), type)).ToList();
        var best = 0.0;
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed.TotalSeconds < 1)
        {
            using var pass = new TensorScope();
            var began = Stopwatch.GetTimestamp();
            for (var i = 0; i < weights.Count; i++) FusedOperators.Linear(inputs[i], weights[i], null, null, [], 0, 0);
            best = Math.Max(best, Shapes.Sum(shape => 2.0 * Rows * shape.Outputs * shape.Inputs) / Stopwatch.GetElapsedTime(began).TotalSeconds);
        }
        foreach (var weight in weights) weight.Dispose();
        return best / 1e9;
    }

    private static PackedWeight Packed(int outputs, int inputs, TensorType type)
    {
        var weight = new PackedWeight(outputs, inputs, type, backward: false);
        weight.Source().Fill(0.01f);
        weight.Pack();
        return weight;
    }
}
