using TokenMill.Serving.Host;
using TokenMill.Serving.Llama;
using TokenMill.Serving.Llama.Native;
using TokenMill.Serving.Sampling;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Llama.Native;

namespace TokenMill.Serving.Tests.Llama;

/// <summary>The llama.cpp runner under the real scheduler: whatever happens beside it, an answer is the one it would be alone.</summary>
[Collection("live handles")]
public sealed class LlamaExecutorTests(ITestOutputHelper output)
{
    [Fact]
    public async Task ManyAtOnce_WithPreemptionPrefixesAndAdapters_AnswerAsIfAlone()
    {
        var random = new Random(7);
        int[] system = [.. Enumerable.Range(0, 60).Select(_ => random.Next(3, 500))];
        var requests = Enumerable.Range(0, 24).Select(i => (
            Prompt: (int[])[.. i % 2 == 0 ? system : [], .. Enumerable.Range(0, 20 + i * 3).Select(_ => random.Next(3, 500))],
            Adapter: i % 3 == 0 ? "tuned" : null)).ToList();
        var adapter = new NamedAdapter("tuned", Models.Family("llama-tied", "lora/adapter_final.gguf"));

        List<int[]> alone = [];
        using (var model = Models.Load(Models.Family("llama-tied"), new LlamaExecutorOptions { MaxRunning = 1, ContextTokens = 512 }, adapter))
            foreach (var (prompt, name) in requests) alone.Add(await AnswerAsync(model, prompt, name, tenant: Guid.NewGuid().ToString()));

        // 512 cells for up to 8 × 190 tokens: it cannot go without preemption.
        using (var model = Models.Load(Models.Family("llama-tied"), new LlamaExecutorOptions { MaxRunning = 8, ContextTokens = 512, StepTokens = 64 }, adapter))
        {
            var answers = await Task.WhenAll(requests.Select(r => AnswerAsync(model, r.Prompt, r.Adapter, "one")));
            Assert.Equal(alone, answers);
            var metrics = model.Engine.Metrics;
            output.WriteLine($"{metrics.Preemptions} preemptions, {metrics.PrefixTokensFound} of {metrics.PrefixTokensAsked} prompt tokens found, {metrics.GeneratedTokens} tokens in {metrics.Steps} steps");
            Assert.True(metrics.Preemptions > 0 && metrics.PrefixTokensFound > 0);
            Assert.InRange(metrics.Steps, 1, metrics.GeneratedTokens / 2);
        }
        Assert.Equal((0, 0, 0, 0), (LlamaContextHandle.Live, LlamaAdapterHandle.Live, GgmlThreadpoolHandle.Live, LlamaModelHandle.Live));
    }

    [Fact]
    public async Task Threads_ChangedWhileAnswering_ChangeNothingElse()
    {
        using var model = Models.Load(Models.Family("llama-tied"), new LlamaExecutorOptions { ContextTokens = 512 });
        int[] prompt = [.. Enumerable.Range(5, 30)];
        var before = await AnswerAsync(model, prompt, null, "a");
        var during = AnswerAsync(model, prompt, null, "b");
        for (var i = 0; i < 6; i++) Assert.Equal(1 + i % 2, await model.SetThreadsAsync(1 + i % 2));
        Assert.Equal(before, await during);
    }

    private static async Task<int[]> AnswerAsync(ServedModel model, int[] prompt, string? adapter, string tenant)
    {
        var generation = new TextGeneration(model.Vocabulary, new GenerationOptions { Sampling = SamplingOptions.Greedy, IgnoresEndOfTurn = true });
        using var running = model.Start(prompt, 40, adapter, tenant, generation, CancellationToken.None);
        var end = await generation.Ended;
        Assert.Equal(EndReason.Length, end.Reason);
        return [.. generation.Tokens];
    }
}

/// <summary>Counts of live handles are the process's, so nothing else may hold any meanwhile.</summary>
[CollectionDefinition("live handles", DisableParallelization = true)]
public sealed class LiveHandles;
