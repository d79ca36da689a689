using System.Diagnostics;
using System.Text.Json.Nodes;
using TokenMill.Recipe;
using TokenMill.Shared;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Llama;
using TokenMill.Testing;

namespace TokenMill.Serving.Tests.Starter;

/// <summary>What the card of the built-in model promises, measured through the program that serves it.</summary>
public sealed class StarterModelTests(ITestOutputHelper output)
{
    private const int MaxAnswerTokens = 200, HeldOutRows = 400;

    private static readonly string Model = Path.Combine(Reference.Repository, "models", "starter", "starter.gguf");

    /// <summary>As people type: inside the corpus, near it, and outside.</summary>
    private static readonly string[] Prompts =
    [
        "Hello!", "hi there", "Who are you?", "What can you do?", "How are you today?", "Thank you very much!", "Goodbye", "I am sad today.", "I'm bored", "My name is Laura.",
        "What is the capital of France?", "what is the capital of japan", "Which language do people speak in Brazil?", "What is the largest planet?", "How many days are in a week?",
        "Why is the sky blue?", "What do cows eat?", "Where do penguins live?", "What is an island?", "What does a baker do?",
        "What is the opposite of hot?", "What is the plural of mouse?", "What is the past tense of go?", "Spell the word window.", "Use \"promise\" in a sentence.",
        "What is 7 plus 5?", "What is 12 minus 4?", "6 * 7 = ?", "Tom has 5 apples and buys 3 more. How many are there now?", "Count from 3 to 9.",
        "Tell me a story.", "Write a short story about a fox.", "Tell me a joke.", "Write a letter to my friend Anna.", "Make a list of four animals.",
        "How do I make tea?", "How can I learn English?", "What is LoRA?", "What is a dataset?", "How do I deploy a model?",
        "I forgot my password.", "Where is my order? It is three weeks late!", "I would like a refund for the lamp.", "你好", "中国的首都是哪里？",
        "Translate into Chinese: dog", "Is this positive or negative? \"I love this book.\"", "Explain the theory of relativity.", "Write a sonnet about the sea and the wind", "asdf qwer 123 !!!",
    ];

    [Fact]
    public void Starter_File_IsSmallTrainableServableAndEndsTurnsByAControlToken()
    {
        Assert.InRange(new FileInfo(Model).Length, 1, 8_000_000);
        using var file = GgufFile.Open(Model);
        var model = GgufModel.Check(file);
        Assert.True(model.Trainable.Yes && model.Servable.Yes, $"{model.Trainable} {model.Servable}");
        Assert.Equal(("llama", true, "apache-2.0"), (model.Architecture, model.HasChatTemplate, model.Licence));
        Assert.Empty(model.Warnings);
        using var vocabulary = LlamaVocabulary.Load(Model);
        Assert.Equal("<|im_end|>", vocabulary.Decode([vocabulary.Eos]));
        Assert.True(vocabulary.IsControl(vocabulary.Eos) && vocabulary.IsEndOfGeneration(vocabulary.Eos));
    }

    [Fact]
    public async Task Starter_FiftyPrompts_EndsItsTurn()
    {
        Assert.Equal(50, Prompts.Length);
        using var file = GgufFile.Open(Model);
        using var vocabulary = LlamaVocabulary.Load(Model);
        var encoder = ConversationEncoder.For(ChatTemplate.ForModel(file), vocabulary);
        var cases = Prompts.Select(p => encoder.Prompt([new JsonObject { ["role"] = "user", ["content"] = p }]));
        var ended = 0;
        foreach (var (prompt, answer) in Prompts.Zip(await Logits(cases, "--greedy", $"{MaxAnswerTokens}")))
        {
            var tokens = answer["greedy"]!.AsArray().Select(t => (int)t!).ToArray();
            if (vocabulary.IsEndOfGeneration(tokens[^1])) ended++;
            output.WriteLine($"{prompt} → {vocabulary.Decode(tokens)}");
        }
        output.WriteLine($"{ended} of {Prompts.Length} turns ended");
        Assert.True(ended >= 0.95 * Prompts.Length, $"only {ended} turns ended");
    }

    [Fact]
    public async Task Starter_HeldOutText_IsLessSurprisingThanToATrigramModel()
    {
        using var vocabulary = LlamaVocabulary.Load(Model);
        var rows = TokenRows.Of(vocabulary, Model);
        var corpus = Corpus.Generate(Grammar.Load(Path.Combine(Reference.Repository, "models", "starter", "recipe", "content")));
        var heldOut = corpus.HeldOut.Select(rows.Encode).Where(ids => ids.Length > 1).Take(HeldOutRows).ToArray();

        var trigrams = new TrigramModel(corpus.Train.Select(rows.Encode), vocabulary.Count);
        Assert.Equal(1, trigrams.TotalProbability(heldOut[0][0], heldOut[0][1], vocabulary.Count), 1e-9);
        Assert.Equal(1, trigrams.TotalProbability(vocabulary.Count - 1, vocabulary.Count - 2, vocabulary.Count), 1e-9);      // a context never seen

        var baseline = Perplexity(heldOut.SelectMany(trigrams.LogProbabilities));
        var model = Perplexity((await Logits(heldOut)).SelectMany(answer => answer["next_token_logprob"]!.AsArray().Select(p => (double)p!)));
        output.WriteLine($"held out: {heldOut.Length} rows, {heldOut.Sum(ids => ids.Length - 1)} predicted tokens; perplexity {model:0.000}, 3-gram model {baseline:0.000}");
        Assert.True(model < baseline, $"perplexity {model:0.000}, the 3-gram model has {baseline:0.000}");
    }

    private static double Perplexity(IEnumerable<double> logProbabilities) => Math.Exp(-logProbabilities.Average());

    /// <summary>The command <c>logits</c> of the serving program, which computes through its engine (on one thread: the tests run on busy machines).</summary>
    private static async Task<List<JsonObject>> Logits(IEnumerable<int[]> cases, params string[] options)
    {
        var path = Path.Combine(Path.GetTempPath(), $"starter-{Guid.NewGuid():N}.jsonl");
        await File.WriteAllLinesAsync(path, cases.Select(ids => $"{{\"ids\":[{string.Join(',', ids)}]}}"));
        try
        {
            using var process = Process.Start(new ProcessStartInfo("dotnet", [Installation.Program("Serving"), "logits", Model, "--cases", path, "--threads", "1", .. options])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            var errors = process.StandardError.ReadToEndAsync();
            var answers = new List<JsonObject>();
            while (await process.StandardOutput.ReadLineAsync() is { } line) answers.Add(JsonNode.Parse(line)!.AsObject());
            await process.WaitForExitAsync();
            Assert.True(process.ExitCode == 0, await errors);
            return answers;
        }
        finally
        {
            File.Delete(path);
        }
    }
}
