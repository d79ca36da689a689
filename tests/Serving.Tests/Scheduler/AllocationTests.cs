using TokenMill.Serving.PrefixCache;
using TokenMill.Serving.Sampling;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Llama;
using TokenMill.Testing;

namespace TokenMill.Serving.Tests.Scheduler;

/// <summary>Garbage of the engine's thread stops every answer when it is collected: there is none per token.</summary>
public sealed class AllocationTests(ITestOutputHelper output)
{
    private const int Streams = 8, PromptTokens = 100, Steps = 500;

    [Fact]
    public async Task EightGreedyStreams_AllocateNothingPerToken()
    {
        using var vocabulary = LlamaVocabulary.Load(Path.Combine(Reference.Repository, "models", "starter", "starter.gguf"));
        int[] words = [.. Enumerable.Range(0, vocabulary.Count).Where(id => !vocabulary.IsControl(id) && !vocabulary.IsEndOfGeneration(id) && vocabulary.Text(id) is not null).Take(401)];
        var executor = new SteadyExecutor(vocabulary.Count, words, Steps);
        using var engine = new EngineLoop(executor, new SchedulerOptions(), TimeProvider.System);
        var generations = Enumerable.Range(0, Streams).Select(_ => new TextGeneration(vocabulary, new GenerationOptions { Sampling = SamplingOptions.Greedy })).ToList();
        for (var i = 0; i < Streams; i++)
            engine.Submit(new EngineRequest([.. Enumerable.Repeat(words[i], PromptTokens)], Steps, new CacheKey("", null), generations[i]));
        await Task.WhenAll(generations.Select(g => g.Ended)).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.All(generations, g => Assert.Equal(Steps, g.Tokens.Count));

        // By then every token's text has been made once. Lists of tokens still double where they are full, and the channel that nobody reads takes another segment.
        var steady = executor.AllocatedPerStep.Skip(100).ToList();
        var clean = steady.Count(bytes => bytes == 0);
        output.WriteLine($"{clean} of {steady.Count} steps of {Streams} tokens allocate nothing; bytes per token in all, buffers included: {steady.Sum() / (double)(steady.Count * Streams):0.0}");
        Assert.InRange(clean, 0.8 * steady.Count, steady.Count);
    }
}
