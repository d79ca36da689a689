using System.Diagnostics;
using TokenMill.Serving.Llama;
using TokenMill.Serving.PrefixCache;
using TokenMill.Serving.Sampling;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Domain;

namespace TokenMill.Benchmarks.Serving;

/// <summary>What the engine's thread does beside libllama when 8 greedy streams run: its share of the time, and the garbage it makes.</summary>
internal static class EngineShare
{
    private const int Streams = 8, Tokens = 400, WarmUp = 50;

    public static async Task RunAsync(string path)
    {
        using var model = LlamaModel.Load(path);
        var executor = new LlamaExecutor(model, new LlamaExecutorOptions { ContextTokens = 8192 });
        executor.WarmUp();
        var watched = new WatchedExecutor(executor);
        using (var engine = new EngineLoop(watched, new SchedulerOptions { StepTokens = executor.MaxStepTokens, GuessedStepTokens = 0 }, TimeProvider.System))
        {
            var generations = Enumerable.Range(0, Streams).Select(_ => new TextGeneration(model.Vocabulary, new GenerationOptions { Sampling = SamplingOptions.Greedy, IgnoresEndOfTurn = true })).ToList();
            for (var i = 0; i < Streams; i++)
                engine.Submit(new EngineRequest(model.Vocabulary.Tokenize($"{i} Tell me everything about it."), Tokens, new CacheKey("", null), generations[i]));
            await Task.WhenAll(generations.Select(DrainAsync));
        }
        var steps = watched.Steps.Skip(WarmUp).Take(Tokens - 2 * WarmUp).ToList();
        var clean = steps.Zip(steps.Skip(1)).Count(s => s.Second.Allocated == s.First.Allocated);
        var (outside, inside) = (steps.Zip(steps.Skip(1)).Sum(s => (s.Second.Began - s.First.Ended).TotalMilliseconds), steps.Sum(s => (s.Ended - s.Began).TotalMilliseconds));
        Console.WriteLine($"{Streams} greedy streams, {steps.Count} steps: {inside / steps.Count:0.00} ms in libllama and {outside / steps.Count:0.000} ms outside, {outside / (inside + outside):P2} of the step (wanted: at most 3 %)");
        Console.WriteLine($"garbage of the engine's thread: none in {clean} of {steps.Count - 1} steps, {(steps[^1].Allocated - steps[0].Allocated) / (double)((steps.Count - 1) * Streams):0.0} bytes a token in all (lists that double)");
    }

    private static async Task DrainAsync(TextGeneration generation)
    {
        await foreach (var _ in generation.Parts.ReadAllAsync())
        {
        }
        if ((await generation.Ended).Error is { } error) throw new RefusedException(error);
    }

    /// <summary>Writes down when each step begins and ends, and what the thread has allocated so far.</summary>
    private sealed class WatchedExecutor(IModelExecutor inner) : IModelExecutor
    {
        public List<(TimeSpan Began, TimeSpan Ended, long Allocated)> Steps { get; } = new(4096);

        public int VocabularySize => inner.VocabularySize;
        public int CapacityTokens => inner.CapacityTokens;
        public int MaxSequenceTokens => inner.MaxSequenceTokens;
        public int MaxSequences => inner.MaxSequences;
        public int MaxStepTokens => inner.MaxStepTokens;
        public int MaxStepRows => inner.MaxStepRows;
        public bool SharesPrefixes => inner.SharesPrefixes;
        public int MaxAdapters => inner.MaxAdapters;
        public string? StateFormat => inner.StateFormat;

        public Error? LoadAdapter(string adapter) => inner.LoadAdapter(adapter);

        public void UnloadAdapter(string adapter) => inner.UnloadAdapter(adapter);

        public StepOutcome Execute(StepPlan plan)
        {
            var began = Stopwatch.GetElapsedTime(0);
            var outcome = inner.Execute(plan);
            if (Steps.Count < Steps.Capacity) Steps.Add((began, Stopwatch.GetElapsedTime(0), GC.GetAllocatedBytesForCurrentThread()));
            return outcome;
        }

        public ReadOnlySpan<float> Logits(int row) => inner.Logits(row);

        public byte[] Save(SequenceId sequence, int mostBytes) => inner.Save(sequence, mostBytes);

        public bool Restore(SequenceId sequence, int tokens, ReadOnlySpan<byte> state) => inner.Restore(sequence, tokens, state);

        public void Dispose() => inner.Dispose();
    }
}
