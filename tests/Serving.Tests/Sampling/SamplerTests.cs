using TokenMill.Serving.Sampling;

namespace TokenMill.Serving.Tests.Sampling;

public sealed class SamplerTests
{
    private const int Vocabulary = 200, Draws = 40_000;

    [Theory]
    [InlineData(1.0, 0, 1.0, 0.0)]
    [InlineData(0.5, 0, 1.0, 0.0)]
    [InlineData(2.0, 7, 1.0, 0.0)]
    [InlineData(1.0, 0, 0.8, 0.0)]
    [InlineData(1.3, 0, 1.0, 0.2)]
    [InlineData(0.8, 20, 0.9, 0.05)]
    public void Sample_DrawsFromTheDistributionThatTheOptionsDescribe(double temperature, int topK, double topP, double minP)
    {
        var logits = Logits(1);
        var expected = Reference(logits, temperature, topK, topP, minP);
        var sampler = new Sampler(new SamplingOptions { Temperature = temperature, TopK = topK, TopP = topP, MinP = minP, Seed = 42 }, Vocabulary);
        var counts = new int[Vocabulary];
        for (var i = 0; i < Draws; i++) counts[sampler.Sample(logits)]++;

        Assert.All(counts.Index(), c => Assert.True(c.Item == 0 || expected[c.Index] > 0, $"token {c.Index} cannot be drawn"));
        // Pearson's statistic over the tokens that are expected often enough; beyond mean + 6 standard deviations is no chance.
        var often = expected.Index().Where(e => e.Item * Draws >= 10).ToList();
        var statistic = often.Sum(e => Math.Pow(counts[e.Index] - e.Item * Draws, 2) / (e.Item * Draws));
        Assert.InRange(statistic, 0, often.Count + 6 * Math.Sqrt(2 * often.Count));
    }

    [Fact]
    public void Sample_TemperatureZero_TakesTheLikeliest()
    {
        var logits = Logits(2);
        Assert.Equal(Array.IndexOf(logits, logits.Max()), new Sampler(SamplingOptions.Greedy, Vocabulary).Sample(logits));
        var tiny = new Sampler(new SamplingOptions { Temperature = 1e-6, TopP = 0.9 }, Vocabulary);
        Assert.Equal(Array.IndexOf(logits, logits.Max()), tiny.Sample(logits));
    }

    [Fact]
    public void Sample_SameSeed_GivesTheSameAnswer()
    {
        Assert.Equal(Draw(5), Draw(5));
        Assert.NotEqual(Draw(5), Draw(6));
        Assert.NotEqual(Draw(null), Draw(null));

        int[] Draw(long? seed)
        {
            var sampler = new Sampler(new SamplingOptions { Seed = seed }, Vocabulary);
            return [.. Enumerable.Range(0, 50).Select(i => sampler.Sample(Logits(i)))];
        }
    }

    [Fact]
    public void Sample_PenaltiesAndBias_ChangeTheChoice()
    {
        float[] logits = [1f, 0.9f, 0.8f, -1f];
        Assert.Equal([0, 1, 2, 0], Choose(new SamplingOptions { Temperature = 0, PresencePenalty = 0.5 }, logits, 4));
        Assert.Equal([0, 0, 1, 0, 1, 0], Choose(new SamplingOptions { Temperature = 0, FrequencyPenalty = 0.06 }, logits, 6));
        Assert.Equal([0, 1, 2, 0], Choose(new SamplingOptions { Temperature = 0, RepetitionPenalty = 1.5 }, logits, 4));
        Assert.Equal([3, 3], Choose(new SamplingOptions { Temperature = 0, LogitBias = new Dictionary<int, double> { [3] = 100 } }, logits, 2));
        Assert.Equal([1, 1], Choose(new SamplingOptions { Temperature = 0, LogitBias = new Dictionary<int, double> { [0] = -100 } }, logits, 2));
        Assert.Equal([1f, 0.9f, 0.8f, -1f], logits);

        static int[] Choose(SamplingOptions options, float[] logits, int count)
        {
            var sampler = new Sampler(options, logits.Length);
            return [.. Enumerable.Range(0, count).Select(_ => sampler.Sample(logits))];
        }
    }

    private static float[] Logits(int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, Vocabulary).Select(_ => (float)(random.NextDouble() * 8 - 4))];
    }

    /// <summary>The definition, written down without a thought for speed.</summary>
    private static double[] Reference(float[] logits, double temperature, int topK, double topP, double minP)
    {
        var weights = logits.Select(l => Math.Exp(l / temperature)).ToArray();
        var kept = weights.Index().OrderByDescending(w => w.Item).Select(w => (w.Index, P: w.Item / weights.Sum())).ToList();
        if (topK > 0) kept = Normalised(kept.Take(topK));
        if (topP < 1)
        {
            var (sum, count) = (0.0, 0);
            while (count < kept.Count && sum < topP) sum += kept[count++].P;
            kept = Normalised(kept.Take(count));
        }
        kept = Normalised(kept.Where(k => k.P >= minP * kept[0].P));
        var result = new double[logits.Length];
        foreach (var (index, p) in kept) result[index] = p;
        return result;

        static List<(int Index, double P)> Normalised(IEnumerable<(int Index, double P)> some)
        {
            var list = some.ToList();
            var sum = list.Sum(s => s.P);
            return [.. list.Select(s => (s.Index, s.P / sum))];
        }
    }
}
