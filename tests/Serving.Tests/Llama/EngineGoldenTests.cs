using System.Text.Json.Nodes;
using TokenMill.Serving.Host;
using TokenMill.Serving.Llama;
using TokenMill.Serving.Sampling;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Testing;

namespace TokenMill.Serving.Tests.Llama;

/// <summary>What the engine computes, against what transformers and PyTorch compute in single precision from the same weights.</summary>
public sealed class EngineGoldenTests(EngineGoldenTests.SinglePrecisionSmolLm2 single, ITestOutputHelper output) : IClassFixture<EngineGoldenTests.SinglePrecisionSmolLm2>
{
    /// <summary>The same weights expanded to single precision: agrees with the reference to rounding, so it stands for it where nothing is recorded.</summary>
    public sealed class SinglePrecisionSmolLm2 : IDisposable
    {
        private readonly string _path = Models.TemporaryPath();
        private ServedModel? _model;

        internal ServedModel Model
        {
            get
            {
                if (_model is not null) return _model;
                Models.WriteExpanded(Models.SmolLm2, _path, GgufType.F32);
                return _model = Models.Load(_path, new LlamaExecutorOptions { ContextTokens = 1024, MaxRunning = 2 }, new NamedAdapter("tuned", Reference.Locate("golden/smollm2/lora_qv_r4/adapter_final")));
            }
        }

        public void Dispose()
        {
            _model?.Dispose();
            File.Delete(_path);
        }
    }

    [Fact]
    public Task SmolLm2_SinglePrecision_IsTheReference() => AssertSmolLm2Async(single.Model, meanDifference: 1e-4, longTextNll: 1e-5, nearTie: 0);

    /// <summary>Quantised weights make llama.cpp's CPU kernels round activations to eight bits: far more than single precision, still no change of meaning.</summary>
    [Fact]
    public async Task SmolLm2_Quantised_StaysNearTheReference()
    {
        using var model = Models.Load(Models.SmolLm2, new LlamaExecutorOptions { ContextTokens = 1024, MaxRunning = 2 });
        await AssertSmolLm2Async(model, meanDifference: 0.1, longTextNll: 0.025, nearTie: 0.5);
    }

    [Fact]
    public async Task SmolLm2_HalfPrecision_StaysNearTheReference()
    {
        var path = Models.TemporaryPath();
        Models.WriteExpanded(Models.SmolLm2, path, GgufType.F16);
        try
        {
            using var model = Models.Load(path, new LlamaExecutorOptions { ContextTokens = 1024, MaxRunning = 2 });
            await AssertSmolLm2Async(model, meanDifference: 0.006, longTextNll: 0.001, nearTie: 0.05);
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>Keys and values in fewer bits: more tokens in the same memory, at the price of an error of its own.</summary>
    [Theory]
    [InlineData("q8_0", 1.8, 0.12, 0.03)]
    [InlineData("q4_0", 3.5, 0.4, 0.15)]
    public async Task SmolLm2_QuantisedKeysAndValues_StayNearTheReference(string type, double moreTokens, double meanDifference, double longTextNll)
    {
        using var half = Models.Load(Models.SmolLm2, new LlamaExecutorOptions { KeyValueType = KeyValueType.F16 });
        using var quantised = Models.Load(Models.SmolLm2, new LlamaExecutorOptions { KeyValueType = KeyValueTypes.Parse(type) });
        Assert.InRange((double)quantised.Metrics.CacheTokensCapacity / half.Metrics.CacheTokensCapacity, moreTokens, 4);

        List<double> differences = [];
        foreach (var golden in JsonNode.Parse(File.ReadAllText(Reference.Locate("golden/smollm2/logits_fp32.json")))!.AsArray())
        {
            var ids = Ints(golden!["ids"]!);
            var scores = await quantised.ScoreAsync(ids, null, CancellationToken.None);
            differences.AddRange(Doubles(golden["next_token_logprob"]!).Zip(scores.NextTokenLogprob, (e, a) => Math.Abs(e - a)));
            var nll = -scores.NextTokenLogprob.Average() - golden["mean_nll"]!.GetValue<double>();
            output.WriteLine($"{ids.Length} tokens: NLL differs by {nll:+0.00000;-0.00000}");
            if (ids.Length > 500) Assert.InRange(Math.Abs(nll), 0, longTextNll);
        }
        output.WriteLine($"mean |Δ log-probability| {differences.Average():0.00000}");
        Assert.InRange(differences.Average(), 0, meanDifference);
    }

    [Fact]
    public async Task SmolLm2_PeftAdapter_GivesWhatThePeftLibraryGives()
    {
        var after = JsonNode.Parse(File.ReadAllText(Reference.Locate("golden/smollm2/lora_qv_r4/golden.json")))!["after"]!;
        var logits = (await single.Model.ScoreAsync(Ints(after["ids"]!), "tuned", CancellationToken.None)).LastLogits;
        AssertNear("top 20 with the adapter", Doubles(after["top20_logprob"]!), [.. Ints(after["top20_ids"]!).Select(id => PromptScoring.LogProbability(logits, id))], 1e-3);
    }

    [Theory]
    [InlineData("llama-untied", 1e-3)]
    [InlineData("llama-tied", 1e-3)]
    [InlineData("mistral", 1e-3)]
    [InlineData("qwen2", 1e-3)]
    [InlineData("qwen3", 1e-3)]
    [InlineData("gemma3", 2e-2)]                               // ggml's GELU goes through a half-precision table
    [InlineData("phi3", 1e-3)]
    [InlineData("smollm3", 1e-3)]
    public async Task Family_GivesTheReferenceLogits(string family, double tolerance)
    {
        var golden = Golden(family);
        var adapter = golden["llama_cpp"]!["adapter"]!;
        using (var model = Models.Load(Models.Family(family), null, new NamedAdapter("tuned", Models.Family(family, "lora/adapter_final.gguf"))))
        {
            foreach (var sequence in golden["sequences"]!.AsArray())
            {
                var ids = Ints(sequence!["input_ids"]!);
                // llama.cpp's llama architecture has no sliding window: beyond 64 tokens a mistral model differs by design.
                if (family == "mistral" && ids.Length > 64) continue;
                var scores = await model.ScoreAsync(ids, null, CancellationToken.None);
                AssertNear($"{family} {ids.Length}: logits", Doubles(sequence["last_logits"]!), [.. scores.LastLogits.Select(l => (double)l)], tolerance);
                AssertNear($"{family} {ids.Length}: log-probabilities", Doubles(sequence["next_token_logprobs"]!), scores.NextTokenLogprob, tolerance);
                Assert.Equal(Ints(sequence["greedy"]!), await GreedyAsync(model, ids, 16, null));
            }
            var tuned = await model.ScoreAsync(Ints(adapter["input_ids"]!), "tuned", CancellationToken.None);
            AssertNear($"{family}: adapter", Doubles(adapter["last_logits"]!), [.. tuned.LastLogits.Select(l => (double)l)], tolerance);
            // And the base again: an adapter must not outlive its step.
            var first = Ints(golden["sequences"]![0]!["input_ids"]!);
            AssertNear($"{family}: base after adapter", Doubles(golden["sequences"]![0]!["last_logits"]!), [.. (await model.ScoreAsync(first, null, CancellationToken.None)).LastLogits.Select(l => (double)l)], tolerance);
        }
        using var half = Models.Load(Models.Family(family, "model-f16.gguf"));
        var shortest = golden["sequences"]![0]!;
        var halfScores = await half.ScoreAsync(Ints(shortest["input_ids"]!), null, CancellationToken.None);
        AssertNear($"{family}: F16 file", Doubles(shortest["last_logits"]!), [.. halfScores.LastLogits.Select(l => (double)l)], 5e-2);
    }

    [Fact]
    public async Task PeftFolder_GivesTheSameAsTheGgufAdapter()
    {
        var folder = Directory.CreateTempSubdirectory("peft-");
        try
        {
            File.Copy(Models.Family("llama-untied", "lora/adapter_config.json"), Path.Combine(folder.FullName, "adapter_config.json"));
            File.Copy(Models.Family("llama-untied", "lora/adapter_final.safetensors"), Path.Combine(folder.FullName, "adapter_model.safetensors"));
            using var model = Models.Load(Models.Family("llama-untied"), null,
                new NamedAdapter("gguf", Models.Family("llama-untied", "lora/adapter_final.gguf")), new NamedAdapter("peft", folder.FullName));
            var ids = Ints(Golden("llama-untied")["llama_cpp"]!["adapter"]!["input_ids"]!);
            var (gguf, peft) = (await model.ScoreAsync(ids, "gguf", CancellationToken.None), await model.ScoreAsync(ids, "peft", CancellationToken.None));
            AssertNear("PEFT against GGUF", [.. gguf.LastLogits.Select(l => (double)l)], [.. peft.LastLogits.Select(l => (double)l)], 1e-4);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private async Task AssertSmolLm2Async(ServedModel model, double meanDifference, double longTextNll, double nearTie)
    {
        List<double> differences = [];
        var worst = 0.0;
        foreach (var golden in JsonNode.Parse(File.ReadAllText(Reference.Locate("golden/smollm2/logits_fp32.json")))!.AsArray())
        {
            var ids = Ints(golden!["ids"]!);
            var scores = await model.ScoreAsync(ids, null, CancellationToken.None);
            var expected = Doubles(golden["next_token_logprob"]!);
            differences.AddRange(expected.Zip(scores.NextTokenLogprob, (e, a) => Math.Abs(e - a)));
            worst = Math.Max(worst, expected.Zip(scores.NextTokenLogprob, (e, a) => Math.Abs(e - a)).Max());
            var nll = -scores.NextTokenLogprob.Average() - golden["mean_nll"]!.GetValue<double>();
            output.WriteLine($"{ids.Length} tokens: NLL differs by {nll:+0.00000;-0.00000}");
            if (ids.Length > 500) Assert.InRange(Math.Abs(nll), 0, longTextNll);
            if (golden["greedy_48"] is { } greedy) await AssertGreedyAsync(model, ids, Ints(greedy), nearTie);
        }
        output.WriteLine($"mean |Δ log-probability| {differences.Average():0.00000}, worst {worst:0.0000}");
        Assert.InRange(differences.Average(), 0, meanDifference);
    }

    /// <summary>An answer may leave the reference only where the reference's two best logits are nearly equal.</summary>
    private async Task AssertGreedyAsync(ServedModel model, int[] prompt, int[] expected, double nearTie)
    {
        var answer = await GreedyAsync(model, prompt, 48, null, ignoreEndOfTurn: false);
        var common = answer.AsSpan().CommonPrefixLength(expected);
        if (common == expected.Length && common == answer.Length) return;
        var logits = (await single.Model.ScoreAsync([.. prompt, .. expected[..common]], null, CancellationToken.None)).LastLogits;
        var (best, second) = (logits.Max(), logits.OrderDescending().ElementAt(1));
        output.WriteLine($"{prompt.Length} tokens: the answer leaves the reference at token {common} ({answer[common]} for {expected[common]}), whose two best are {best - second:0.0000} apart");
        Assert.InRange(best - second, 0, nearTie);
        Assert.Equal(second, logits[answer[common]]);
    }

    private static async Task<int[]> GreedyAsync(ServedModel model, int[] prompt, int tokens, string? adapter, bool ignoreEndOfTurn = true)
    {
        var generation = new TextGeneration(model.Vocabulary, new GenerationOptions { Sampling = SamplingOptions.Greedy, IgnoresEndOfTurn = ignoreEndOfTurn });
        using var running = model.Start(prompt, tokens, adapter, "", generation, CancellationToken.None);
        var end = await generation.Ended;
        Assert.NotEqual(EndReason.Failed, end.Reason);
        return [.. generation.Tokens];
    }

    private void AssertNear(string what, double[] expected, double[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        var worst = expected.Zip(actual, (e, a) => Math.Abs(e - a)).Max();
        output.WriteLine($"{what}: worst {worst:0.0e0}");
        Assert.InRange(worst, 0, tolerance);
    }

    private static JsonNode Golden(string family) => JsonNode.Parse(File.ReadAllText(Reference.Locate($"golden/families/{family}/golden.json")))!;

    private static int[] Ints(JsonNode array) => [.. array.AsArray().Select(v => v!.GetValue<int>())];

    private static double[] Doubles(JsonNode array) => [.. array.AsArray().Select(v => v!.GetValue<double>())];
}
