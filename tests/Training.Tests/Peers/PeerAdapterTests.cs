using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Jobs;
using TokenMill.Testing;
using TokenMill.Training.Export;
using TokenMill.Training.Loop;
using TokenMill.Training.Lora;
using TokenMill.Training.Models;
using TokenMill.Training.Tests.Golden;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Tests.Peers;

/// <summary>
/// Kinds of adapters for which no golden exists, against PEFT itself: it loads the adapter as we start it and trains the same steps,
/// and loads the one that we end with. One script answers for all cases.
/// </summary>
public sealed class PeerAdapterTests(PeerAdapterTests.Answers answers, ITestOutputHelper output) : IClassFixture<PeerAdapterTests.Answers>
{
    private const int Steps = 6;

    public static readonly Case[] Cases =
    [
        new("dora", "llama-tied", new AdapterSpec { Type = "dora", Rank = 4, Alpha = 8 }),
        new("dora on some, with biases", "qwen2", new AdapterSpec { Type = "dora", Rank = 4, Alpha = 8, Targets = new JsonArray("q_proj", "v_proj", "down_proj") }),
        new("rslora", "llama-tied", new AdapterSpec { Type = "rslora", Rank = 9, Alpha = 8 }),
        new("patterns", "llama-tied", new AdapterSpec
        {
            Rank = 4, Alpha = 8, Targets = JsonValue.Create(@"layers\.[01]\.(self_attn|mlp)\..*_proj"),
            RankPattern = new Dictionary<string, int> { [@"layers\.0\..*v_proj"] = 2, ["down_proj"] = 7 }, AlphaPattern = new Dictionary<string, double> { ["up_proj"] = 3 },
        }),
        new("smoothing", "llama-untied", new AdapterSpec { Rank = 4, Alpha = 8 }) { Smoothing = 0.1 },
        new("tied embeddings and norms", "llama-tied", new AdapterSpec { Rank = 4, Alpha = 8, Targets = new JsonArray("q_proj"), ModulesToSave = ["embed_tokens", "model.norm", "input_layernorm"] }),
        new("norms that add one", "gemma3", new AdapterSpec { Type = "dora", Rank = 4, Alpha = 8, Targets = new JsonArray("k_proj"), ModulesToSave = ["model.norm", "q_norm", "embed_tokens"] }) { LearningRate = 1e-3 },       // bolder, and AdamW makes steps of rounding noise
        new("output layer", "llama-untied", new AdapterSpec { Rank = 4, Alpha = 8, ModulesToSave = ["lm_head"] }),
    ];

    public static TheoryData<string> Names => [.. Cases.Select(@case => @case.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Adapter_TrainsAsPeftDoes_AndPeftLoadsTheResult(string name)
    {
        var (ours, theirs) = (await answers.ByName)[name];
        var worstLoss = ours.Losses.Zip(theirs["loss"].Doubles(), (a, b) => Math.Abs(a - b)).Max();
        var worstNorm = ours.Norms.Zip(theirs["grad_norm"].Doubles(), (a, b) => Math.Abs(a / b - 1)).Max();
        double Worst(string field) => ours.Logits.Zip(theirs[field].Doubles(), (a, b) => Math.Abs(a - b)).Max();
        var (after, exported, merged) = (Worst("after"), Worst("exported"), ours.Logits.Zip(ours.Merged, (a, b) => Math.Abs(a - b)).Max());
        output.WriteLine($"{name}: loss {worstLoss:E1}, gradient norm {worstNorm:E1} relative; logits afterwards {after:E1}, as PEFT loads the export {exported:E1}, merged {merged:E1}");
        Assert.Equal((long)theirs["trained"]!, ours.Trained);
        Assert.True(worstLoss < 5e-5 && worstNorm < 2e-5 && after < 1e-3);
        Assert.True(exported < 1e-4 && merged < 1e-4);
        Assert.True(ours.Losses[^1] < ours.Losses[0] - 0.01);
    }

    public sealed record Case(string Name, string Family, AdapterSpec Adapter)
    {
        public double Smoothing { get; init; }
        public double LearningRate { get; init; } = 1e-2;
    }

    public sealed record Ours(long Trained, List<double> Losses, List<double> Norms, float[] Logits, float[] Merged);

    /// <summary>Runs every case here, then PEFT once over all of them.</summary>
    public sealed class Answers : IDisposable
    {
        private readonly string _folder = Directory.CreateTempSubdirectory("peft-").FullName;
        private Task<Dictionary<string, (Ours Ours, JsonNode Theirs)>>? _answers;

        public Task<Dictionary<string, (Ours Ours, JsonNode Theirs)>> ByName => _answers ??= AskAsync();

        public void Dispose() => Directory.Delete(_folder, recursive: true);

        private async Task<Dictionary<string, (Ours, JsonNode)>> AskAsync()
        {
            var (jobs, ours) = (new JsonArray(), new List<Ours>());
            foreach (var @case in Cases) ours.Add(Train(@case, jobs));
            var (asked, answered) = (Path.Combine(_folder, "jobs.json"), Path.Combine(_folder, "answers.json"));
            await File.WriteAllTextAsync(asked, jobs.ToJsonString());
            await HuggingFacePeer.RunAsync(CancellationToken.None, "train", asked, answered);
            var theirs = JsonNode.Parse(await File.ReadAllTextAsync(answered))!.AsArray();
            return Cases.Zip(ours, theirs).ToDictionary(answer => answer.First.Name, answer => (answer.Second, answer.Third!));
        }

        private Ours Train(Case @case, JsonArray jobs)
        {
            var path = Reference.Locate($"golden/families/{@case.Family}/model.gguf");
            var golden = JsonNode.Parse(File.ReadAllText(Reference.Locate($"golden/families/{@case.Family}/lora/lora.json")))!;
            var batches = golden["batches"]!.AsArray().Take(Steps).ToList();
            var ids = golden["after"]!["input_ids"].Ints();
            string Folder(string name) => Path.Combine(_folder, $"{@case.Name}-{name}");

            using var file = GgufFile.Open(path);
            using var model = ModelLoading.Load(path, ModelUse.Adapters(TensorType.Float32).For(LoraAdapter.ConfigOf(@case.Adapter)));
            using var adapter = LoraAdapter.Create(model, @case.Adapter, 3);
            using var optimizer = new AdamW(adapter.Parameters().Concat(model.Parameters()), new OptimizerSpec { WeightDecay = 0.01 });
            var step = new TrainingStep(model, optimizer, 1, new Regularization { LabelSmoothing = @case.Smoothing });
            PeftFolder.Write(Folder("initial"), AdapterWeights.Of(adapter, model, null), file);
            var (losses, norms) = (new List<double>(), new List<double>());
            foreach (var batch in batches)
            {
                var outcome = step.Compute([TokenMill.Training.Data.Packing.Pack(GoldenRun.Unpad(batch!), 4096, packing: true)], new SupervisedObjective(), 0, CancellationToken.None);
                step.Apply(outcome, @case.LearningRate);
                losses.Add(outcome.Loss);
                norms.Add(outcome.GradientNorm);
            }
            var final = AdapterWeights.Of(adapter, model, null);
            PeftFolder.Write(Folder("final"), final, file);
            jobs.Add(JsonSerializer.SerializeToNode(new
            {
                model = Reference.Locate($"golden/families/{@case.Family}/hf"), initial = Folder("initial"), final = Folder("final"),
                batches, ids, smoothing = @case.Smoothing, learning_rate = @case.LearningRate, weight_decay = 0.01,
            }));

            // What is merged, and what another process loads, is what was trained.
            var mergedPath = Folder("merged.gguf");
            GgufModelFile.Write(mergedPath, file, ModelTensors.Merge(file, AdapterWeights.Load(Folder("final"), file)), GgufType.F32);
            using var merged = ModelLoading.Load(mergedPath, ModelUse.Inference(TensorType.Float32));
            var loaded = AdapterWeights.Load(Folder("final"), path);
            using var again = ModelLoading.Load(path, ModelUse.Inference(TensorType.Float32), loaded);
            using var attached = LoraAdapter.Attach(again, loaded, trains: false);
            var logits = TokenScores.Of(model, ids).Last;
            foreach (var (a, b) in logits.Zip(TokenScores.Of(again, ids).Last)) Assert.Equal(a, b, 1e-5f);
            return new Ours(optimizer.ParameterCount, losses, norms, logits, TokenScores.Of(merged, ids).Last);
        }
    }
}
