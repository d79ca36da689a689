using TokenMill.Serving.Host;
using TokenMill.Serving.Llama;
using TokenMill.Serving.Scheduler;
using TokenMill.Serving.Sampling;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Testing;

namespace TokenMill.Serving.Tests.Host;

/// <summary>A second model that guesses, on the built-in model with itself in four bits as the draft.</summary>
[Collection("live handles")]
public sealed class DraftTests : IDisposable
{
    private readonly ITestOutputHelper _output;
    private readonly string _folder = Directory.CreateTempSubdirectory("tokenmill-draft-").FullName;

    public DraftTests(ITestOutputHelper output)
    {
        _output = output;
        var starter = Path.Combine(Reference.Repository, "models", "starter", "starter.gguf");
        Models.WriteExpanded(starter, Model, GgufType.F32);
        Shared.Llama.LlamaQuantization.Quantize(starter, Draft, "Q4_0", 1);
    }

    /// <summary>In single precision, so that a token computed beside guesses is the one computed alone.</summary>
    private string Model => Path.Combine(_folder, "model.gguf");
    private string Draft => Path.Combine(_folder, "draft.gguf");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Answers_GreedyAndSampled_AreTheSameWithADraft()
    {
        var (plain, plainSteps) = await AnswersAsync(null);
        var (drafted, steps) = await AnswersAsync(Draft);
        _output.WriteLine($"{plain.Sum(a => a.Length)} tokens in {plainSteps} steps without and {steps} with a draft");
        Assert.Equal(plain, drafted);
        Assert.Equal((0, 0), (Serving.Llama.Native.LlamaContextHandle.Live, Shared.Llama.Native.LlamaModelHandle.Live));
    }

    /// <summary>At random, so that the text never repeats itself and lookup in it finds nothing: whatever is guessed comes from the draft.</summary>
    [Fact]
    public async Task TextWithoutRepetitions_IsGuessedByTheDraftAlone()
    {
        var guessed = new List<long>();
        foreach (var draft in new[] { null, Draft })
        {
            using var model = Load(draft);
            await AnswerAsync(model, "Tell me a story about a fox.", temperature: 3, tokens: 100);
            guessed.Add(model.Metrics.TokensGuessed);
        }
        _output.WriteLine($"{guessed[0]} tokens guessed without and {guessed[1]} with a draft");
        Assert.Equal(0, guessed[0]);
        Assert.True(guessed[1] > 0);
    }

    [Fact]
    public void Draft_OfAnotherVocabulary_IsRefusedAtTheStart()
    {
        var refused = Assert.Throws<RefusedException>(() => Load(Models.Family("llama-tied")).Dispose());
        _output.WriteLine(refused.Message);
        Assert.Equal("draft-vocabulary", refused.Error.Code);
        Assert.Equal("model-not-found", Assert.Throws<RefusedException>(() => Load(Path.Combine(_folder, "nowhere.gguf")).Dispose()).Error.Code);
    }

    private ServedModel Load(string? draft) =>
        ServedModel.Load(Model, [], new LlamaExecutorOptions { ContextTokens = 2048, Threads = 1 }, new SchedulerOptions(), draftPath: draft);

    /// <summary>One after the other and side by side, greedy and sampled.</summary>
    private async Task<(List<int[]> Answers, long Steps)> AnswersAsync(string? draft)
    {
        using var model = Load(draft);
        var answers = new List<int[]>();
        for (var round = 0; round < 2; round++)
        {
            answers.Add(await AnswerAsync(model, "Tell me a story about a fox.", 0, 150));
            answers.AddRange(await Task.WhenAll(Enumerable.Range(0, 6).Select(i => AnswerAsync(model, $"Write {i} words about the sea.", i % 2 * 0.8, 60 + i))));
        }
        return (answers, model.Metrics.Steps);
    }

    private static async Task<int[]> AnswerAsync(ServedModel model, string prompt, double temperature, int tokens)
    {
        var generation = new TextGeneration(model.Vocabulary, new GenerationOptions { Sampling = new SamplingOptions { Temperature = temperature, Seed = 7 }, IgnoresEndOfTurn = true });
        using var running = model.Start(model.Vocabulary.Tokenize(prompt, addSpecial: true), tokens, null, "", generation, CancellationToken.None);
        Assert.Null((await generation.Ended).Error);
        return [.. generation.Tokens];
    }
}
