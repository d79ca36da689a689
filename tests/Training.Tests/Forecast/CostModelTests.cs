using System.Text.Json.Nodes;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Forecast;
using TokenMill.Training.Models;

namespace TokenMill.Training.Tests.Forecast;

/// <summary>From two shallow probes to a deep model, on a machine whose laws are known.</summary>
public sealed class CostModelTests
{
    private const int Layers = 30;
    private const long MiB = 1 << 20;
    private static readonly PassShape[] Shapes = [new(256, 16_384, 252), new(1024, 262_144, 256), new(2048, 524_288, 1536), new(2048, 4_194_304, 512)];

    [Fact]
    public void DeepModel_FollowsTheLawsSeenOnShallowOnes()
    {
        var cost = new CostModel(Measure(1, 0.02), Measure(8, 0.02), Layers);
        foreach (var shape in new[] { new PassShape(700, 90_000, 300), new PassShape(4096, 8_388_608, 4000) })
        {
            Assert.Equal(1, cost.PassSeconds(shape) / Seconds(Layers, shape), 0.05);
            Assert.Equal(1, (double)cost.PassBytes(shape) / Bytes(Layers, shape), 0.05);
        }
        Assert.Equal(Layers * 1000, cost.TrainableParameters);
        Assert.Equal((500 + 40L * Layers) * MiB, cost.WeightBytes);
    }

    [Fact]
    public void TooLargeABatch_GetsAdviceThatFits()
    {
        var spec = FineTuneSpec.Parse("""{"model":"m","output":"o","data":[],"packing":false,"batch_size":64,"max_length":512}""");
        var config = ModelConfig.FromHuggingFace(JsonNode.Parse("""{"hidden_size":576,"intermediate_size":1536,"num_hidden_layers":30,"num_attention_heads":9}""")!.AsObject(), 49_152);
        var cost = new CostModel(Measure(1, 0), Measure(8, 0), Layers);
        Workload Load(int examples) => new(10, 30, 640, 327_680, 640, 0, 0, 0, false, [[new PassShape(examples * 512, examples * 512L * 512, examples * 300)]]);

        var roomy = Planning.Plan(spec, config, Load(64), cost, 1, 64_000 * MiB);
        Assert.True(roomy.Fits);
        Assert.Empty(roomy.Advice);

        var limit = (long)((1800 + 10_000) * MiB / 0.95);
        var tight = Planning.Plan(spec, config, Load(64), cost, 1, limit);
        Assert.False(tight.Fits);
        var batch = Assert.Single(tight.Advice, advice => advice.Field == "batch_size");
        Assert.Equal("64", batch.From);
        Assert.True(Planning.Plan(spec, config, Load(int.Parse(batch.To, System.Globalization.CultureInfo.InvariantCulture)), cost, 1, limit).Fits);
        Assert.Contains(tight.Advice, advice => advice.Field == "max_length");
        Assert.Contains(tight.Advice, advice => advice.Field == "packing");
    }

    private static double Seconds(int layers, PassShape shape) => 0.01 + layers * (0.001 + 4e-5 * shape.Tokens + 2e-9 * shape.Squares) + 3e-4 * shape.Supervised;

    private static long Bytes(int layers, PassShape shape) => (600 + 40L * layers) * MiB + shape.Tokens * (20_000L + 24_000L * layers);

    private static ProbeResult Measure(int layers, double noise)
    {
        var random = new Random(layers);
        double Noisy(double value) => value * (1 + noise * random.NextDouble());
        return new ProbeResult(layers, layers * 1000, layers * 12_000, 1 + 0.1 * layers, 200 * MiB, 0, (700 + 60L * layers) * MiB, (500 + 40L * layers) * MiB, 2e-9, 0.001 * layers, 0.4,
            [.. Shapes.Select(shape => new ProbedPass(shape, (long)Noisy(Bytes(layers, shape)), [Noisy(Seconds(layers, shape)), Noisy(Seconds(layers, shape)), Noisy(Seconds(layers, shape))]))]);
    }
}
