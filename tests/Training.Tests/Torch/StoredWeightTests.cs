using System.Buffers.Binary;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Jobs;
using TokenMill.Testing;
using TokenMill.Training.Data;
using TokenMill.Training.Lora;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Tests.Torch;

/// <summary>Weights that stay quantised give what packed ones give.</summary>
public sealed class StoredWeightTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(GgufType.Q8_0, 40)]
    [InlineData(GgufType.Q4_0, 40)]
    [InlineData(GgufType.Q4_1, 40)]
    [InlineData(GgufType.Q5_0, 40)]
    [InlineData(GgufType.Q5_1, 40)]
    [InlineData(GgufType.Q4_K, 40)]
    [InlineData(GgufType.Q5_K, 40)]
    [InlineData(GgufType.Q6_K, 40)]
    [InlineData(GgufType.Q4_K, 9000)]                       // more than one piece
    public void Stored_AgreesWithPacked_ForwardAndBack(GgufType type, int outputs)
    {
        const int inputs = 512, tokens = 7;
        var random = new Random(1);
        var stored = new StoredRows(inputs);
        stored.Add(type, RandomBlocks(type, outputs / 4 * inputs, random));
        stored.Add(GgufType.Q8_0, RandomBlocks(GgufType.Q8_0, (outputs - outputs / 4) * inputs, random));     // two tensors below each other
        var values = new float[outputs * inputs];
        stored.Expand(0, values);
        var x = Enumerable.Range(0, tokens * inputs).Select(_ => (float)random.NextDouble() - 0.5f).ToArray();

        foreach (var format in TorchRuntime.Describe().HasBFloat16 ? new[] { TensorType.Float32, TensorType.BFloat16 } : [TensorType.Float32])
        {
            using var packed = new PackedWeight(outputs, inputs, format, backward: true);
            values.CopyTo(packed.Source());
            packed.Pack();
            using var weight = new StoredWeight(stored, format);
            var (expected, expectedGradient) = Pass(packed, x, format);
            var (given, gradient) = Pass(weight, x, format);
            var (worst, worstGradient) = (Worst(expected, given), Worst(expectedGradient, gradient));
            output.WriteLine($"{type} {outputs} rows {format}: output {worst:E1}, gradient {worstGradient:E1} of the greatest");
            Assert.True(worst < (format == TensorType.Float32 ? 1e-6 : 4e-3) && worstGradient < (format == TensorType.Float32 ? 1e-6 : 4e-3));
        }
    }

    [Fact]
    public void QLora_HasTheLossAndGradientOfLora()
    {
        var path = Reference.Locate("models/SmolLM2-135M-Instruct-Q4_1.gguf");
        int[] ids = [.. Enumerable.Range(0, 96).Select(i => 1000 + i * 37 % 5000)];
        var batch = TokenMill.Training.Data.Packing.Pack([new EncodedExample(ids, ids)], 128, packing: true);
        var measured = new List<(double Loss, double Norm)>();
        foreach (var use in new[] { ModelUse.Adapters(TensorType.Float32), ModelUse.Adapters(TensorType.Float32) with { KeepsStored = true } })
        {
            using var model = ModelLoading.Load(path, use);
            using var adapter = LoraAdapter.Create(model, new AdapterSpec { Rank = 4 }, seed: 5);
            using var scope = new TensorScope();
            var losses = model.Losses(batch);
            Operators.Sum(losses.Losses).Backward([1]);
            measured.Add((losses.Values.Average(), Math.Sqrt(adapter.Parameters().Sum(p => p.Value.Gradient() is { } gradient ? FusedOperators.SumOfSquares(gradient) : 0))));
        }
        var (lora, qlora) = (measured[0], measured[1]);
        output.WriteLine($"loss {lora.Loss:F6} and {qlora.Loss:F6}, gradient norm {lora.Norm:F6} and {qlora.Norm:F6}");
        Assert.Equal(lora.Loss, qlora.Loss, 1e-6);
        Assert.Equal(1, qlora.Norm / lora.Norm, 1e-5);
    }

    private static (float[] Output, float[] Gradient) Pass(LinearWeight weight, float[] x, TensorType type)
    {
        using var scope = new TensorScope();
        var input = Tensor.From(x, x.Length / weight.Inputs, weight.Inputs).RequireGradient();
        var y = FusedOperators.Linear(Operators.Convert(input, type), weight, null, null, [], 0, 0);
        Operators.Sum(Operators.Multiply(y, y)).Backward([1]);
        return (y.ToFloats(), input.Gradient()!.ToFloats());
    }

    private static double Worst(float[] expected, float[] given) => expected.Zip(given, (e, g) => Math.Abs(e - (double)g)).Max() / expected.Max(Math.Abs);

    /// <summary>Any bytes are a valid block but for its halves: these are small numbers.</summary>
    private static byte[] RandomBlocks(GgufType type, int elements, Random random)
    {
        var (blockElements, blockBytes) = type.Block();
        var bytes = new byte[elements / blockElements * blockBytes];
        random.NextBytes(bytes);
        int[] halves = type switch { GgufType.Q6_K => [208], GgufType.Q4_1 or GgufType.Q5_1 or GgufType.Q4_K or GgufType.Q5_K => [0, 2], _ => [0] };
        for (var block = 0; block < bytes.Length; block += blockBytes)
            foreach (var at in halves) BinaryPrimitives.WriteHalfLittleEndian(bytes.AsSpan(block + at), (Half)(random.NextDouble() * 0.01));
        return bytes;
    }
}
