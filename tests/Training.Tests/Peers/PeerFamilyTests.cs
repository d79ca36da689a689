using System.Text.Json.Nodes;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Jobs;
using TokenMill.Shared.Llama;
using TokenMill.Testing;
using TokenMill.Training.Export;
using TokenMill.Training.Import;
using TokenMill.Training.Lora;
using TokenMill.Training.Models;
using TokenMill.Training.Tests.Golden;
using TokenMill.Training.Tests.Import;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Tests.Peers;

/// <summary>
/// Families and settings without a stored reference: transformers makes a tiny model of each, whose folder is imported,
/// computed, trained and exported here, and read by transformers again.
/// </summary>
public sealed class PeerFamilyTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _scratch = Directory.CreateTempSubdirectory("peers").FullName;

    public void Dispose() => Directory.Delete(_scratch, recursive: true);

    [Fact]
    public async Task Models_OfTransformers_ComputeTrainAndComeBackTheSame()
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        await HuggingFacePeer.RunAsync(cancellationToken, "make", _scratch);
        var jobs = new JsonArray();
        var expected = new List<(string Family, JsonNode Reference, JsonNode Last)>();
        foreach (var folder in Directory.EnumerateDirectories(_scratch).Order(StringComparer.Ordinal).ToList())
        {
            var (family, reference) = (Path.GetFileName(folder), JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "reference.json")))!);
            var path = Path.Combine(folder, "model.gguf");
            ModelImport.Run(Path.Combine(folder, "hf"), path, null, cancellationToken);
            CompareTokens(family, path, reference["texts"]!.AsArray());
            CompareForward(family, path, reference["sequences"]!.AsArray());
            CompareAllWeights(family, path, reference["whole"]!);
            Train(family, path, Path.Combine(folder, "adapter"), reference["lora"]!, folder);

            // What was trained, as two folders that transformers and peft read.
            var after = reference["lora"]!["after"]!;
            using var file = GgufFile.Open(path);
            HuggingFaceModel.Write(Path.Combine(folder, "plain"), file, ModelTensors.Merge(file, null), GgufType.F32);
            HuggingFaceModel.Write(Path.Combine(folder, "merged"), file, ModelTensors.Merge(file, AdapterWeights.Load(Path.Combine(folder, "trained"), file)), GgufType.F32);
            var texts = reference["texts"]!.AsArray().Select(t => t!["text"]!.DeepClone()).ToArray();
            jobs.Add(new JsonObject { ["model"] = Path.Combine(folder, "plain"), ["adapter"] = Path.Combine(folder, "trained"), ["ids"] = after["ids"]!.DeepClone(), ["texts"] = new JsonArray(texts) });
            jobs.Add(new JsonObject { ["model"] = Path.Combine(folder, "merged"), ["ids"] = after["ids"]!.DeepClone() });
            expected.Add((family, reference, after["last"]!));
        }
        Assert.NotEmpty(expected);

        File.WriteAllText(Path.Combine(_scratch, "jobs.json"), jobs.ToJsonString());
        await HuggingFacePeer.RunAsync(cancellationToken, "read", Path.Combine(_scratch, "jobs.json"), Path.Combine(_scratch, "answers.json"));
        var answers = JsonNode.Parse(File.ReadAllText(Path.Combine(_scratch, "answers.json")))!.AsArray();
        for (var i = 0; i < expected.Count; i++)
        {
            var (family, reference, last) = expected[i];
            var (adapter, merged) = (Worst(last.Doubles(), answers[2 * i]!["last"].Doubles()), Worst(last.Doubles(), answers[2 * i + 1]!["last"].Doubles()));
            output.WriteLine($"{family}: read by transformers, worst logit with the adapter {adapter:E1}, merged {merged:E1}");
            Assert.True(adapter < 1e-3 && merged < 1e-3, family);
            foreach (var (ids, text) in answers[2 * i]!["texts"]!.AsArray().Zip(reference["texts"]!.AsArray())) Assert.Equal(text!["ids"].Ints(), ids.Ints());
        }
    }

    /// <summary>The stored references' tuned models, exported here from their GGUF files, in transformers and peft.</summary>
    [Fact]
    public async Task Exports_OfTunedReferences_AreReadByTransformersAndPeft()
    {
        var jobs = new JsonArray();
        var expected = new List<(string Family, double[] Last)>();
        foreach (var family in FamilyImportTests.Families.Select(row => row.Data))
        {
            string Golden(string name) => Reference.Locate($"golden/families/{family}/{name}");
            var after = JsonNode.Parse(File.ReadAllText(Golden("lora/lora.json")))!["after"]!;
            var (path, merged, adapter) = (Path.Combine(_scratch, $"{family}.gguf"), Path.Combine(_scratch, family, "merged"), Path.Combine(_scratch, family, "adapter"));
            ModelImport.Run(Golden("hf"), path, null, TestContext.Current.CancellationToken);
            using var file = GgufFile.Open(path);
            var weights = AdapterWeights.Load(Golden("lora/adapter_final.gguf"), file);
            HuggingFaceModel.Write(merged, file, ModelTensors.Merge(file, weights), GgufType.F32);
            PeftFolder.Write(adapter, weights, file);
            jobs.Add(new JsonObject { ["model"] = merged, ["ids"] = after["input_ids"]!.DeepClone() });
            jobs.Add(new JsonObject { ["model"] = Golden("hf"), ["adapter"] = adapter, ["ids"] = after["input_ids"]!.DeepClone() });
            expected.Add((family, after["merged_last_logits"].Doubles()));
        }
        File.WriteAllText(Path.Combine(_scratch, "jobs.json"), jobs.ToJsonString());
        await HuggingFacePeer.RunAsync(TestContext.Current.CancellationToken, "read", Path.Combine(_scratch, "jobs.json"), Path.Combine(_scratch, "answers.json"));
        var answers = JsonNode.Parse(File.ReadAllText(Path.Combine(_scratch, "answers.json")))!.AsArray();
        for (var i = 0; i < expected.Count; i++)
        {
            var (merged, adapter) = (Worst(expected[i].Last, answers[2 * i]!["last"].Doubles()), Worst(expected[i].Last, answers[2 * i + 1]!["last"].Doubles()));
            output.WriteLine($"{expected[i].Family}: worst logit of the exported model {merged:E1}, with the exported adapter {adapter:E1}");
            Assert.True(merged < 1e-4 && adapter < 1e-4, expected[i].Family);
        }
    }

    private static void CompareTokens(string family, string path, JsonArray texts)
    {
        using var vocabulary = LlamaVocabulary.Load(path);
        foreach (var text in texts)
        {
            var wanted = text!["text"]!.ToString();
            Assert.True(text["ids"].Ints().SequenceEqual(vocabulary.Tokenize(wanted)), $"{family} cuts '{wanted}' otherwise: {string.Join(' ', vocabulary.Tokenize(wanted))} instead of {string.Join(' ', text["ids"].Ints())}");
            Assert.Equal(text["with_special"].Ints(), vocabulary.Tokenize(wanted, addSpecial: true));
        }
    }

    private void CompareForward(string family, string path, JsonArray sequences)
    {
        using var model = ModelLoading.Load(path, ModelUse.Inference(TensorType.Float32));
        double worstLogit = 0, worstProbability = 0;
        foreach (var sequence in sequences)
        {
            var scores = TokenScores.Of(model, sequence!["ids"].Ints());
            worstLogit = Math.Max(worstLogit, Worst(sequence["last"].Doubles(), [.. scores.Last.Select(l => (double)l)]));
            worstProbability = Math.Max(worstProbability, Worst(sequence["logprobs"].Doubles(), scores.NextTokenLogProbabilities));
        }
        output.WriteLine($"{family}: worst logit {worstLogit:E1}, worst log-probability {worstProbability:E1}");
        Assert.True(worstLogit < 1e-4 && worstProbability < 1e-4, family);
    }

    /// <summary>Gradients of every weight, and every weight back in its place.</summary>
    private void CompareAllWeights(string family, string path, JsonNode reference)
    {
        using var run = new GoldenRun(path, TensorType.Float32, new OptimizerSpec { LearningRate = 0 }, new ScheduleSpec { Name = "constant" }, 0, 1, adapter: null);
        var outcome = run.Step([.. reference["batch"]!.AsArray().Select(ids => new EncodedExample(ids.Ints(), ids.Ints()))]);
        var norm = Math.Abs(outcome.GradientNorm / (double)reference["grad_norm"]! - 1);
        output.WriteLine($"{family}: all weights, loss {Math.Abs(outcome.Loss - (double)reference["loss"]!):E1}, gradient norm {norm:E1} relative");
        Assert.True(Math.Abs(outcome.Loss - (double)reference["loss"]!) < 5e-5 && norm < 2e-5, family);
        using var file = GgufFile.Open(path);
        foreach (var tensor in ModelTensors.Replace(file, run.Model.Weights()))
        {
            var stored = new float[file.Find(tensor.Name)!.Elements];
            file.ReadFloats(file.Find(tensor.Name)!, stored);
            Assert.True(stored.SequenceEqual(tensor.ReadAll()), $"{family}: {tensor.Name}");
        }
    }

    private void Train(string family, string path, string adapter, JsonNode reference, string folder)
    {
        var optimizer = new OptimizerSpec { LearningRate = 5e-3, Betas = [0.9, 0.999], Epsilon = 1e-8, WeightDecay = 0.01 };
        using var run = new GoldenRun(path, TensorType.Float32, optimizer, new ScheduleSpec { Name = "constant" }, 1, 2, model => LoraAdapter.Attach(model, AdapterWeights.Load(adapter, path), trains: true));
        double worstLoss = 0, worstNorm = 0;
        foreach (var ((batch, loss), norm) in reference["batches"]!.AsArray().Zip(reference["loss"].Doubles()).Zip(reference["grad_norm"].Doubles()))
        {
            var outcome = run.Step([.. batch!.AsArray().Select(ids => new EncodedExample(ids.Ints(), ids.Ints()))]);
            worstLoss = Math.Max(worstLoss, Math.Abs(outcome.Loss - loss));
            worstNorm = Math.Max(worstNorm, Math.Abs(outcome.GradientNorm / norm - 1));
        }
        var after = reference["after"]!;
        var worstAfter = Worst(after["last"].Doubles(), [.. TokenScores.Of(run.Model, after["ids"].Ints()).Last.Select(l => (double)l)]);
        output.WriteLine($"{family}: worst loss {worstLoss:E1}, worst gradient norm {worstNorm:E1} relative, worst logit afterwards {worstAfter:E1}");
        Assert.True(worstLoss < 5e-5 && worstNorm < 1e-4 && worstAfter < 1e-3, family);
        using var file = GgufFile.Open(path);
        PeftFolder.Write(Path.Combine(folder, "trained"), AdapterWeights.Of(run.Adapter!, run.Model, family), file);
    }

    private static double Worst(double[] expected, double[] actual) => expected.Zip(actual, (e, a) => Math.Abs(e - a) / Math.Max(1, Math.Abs(e))).Max();
}
