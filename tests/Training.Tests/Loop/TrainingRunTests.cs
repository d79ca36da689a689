using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Loop;
using TokenMill.Training.Models;
using TokenMill.Training.Lora;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Tests.Loop;

/// <summary>What a run promises whatever its specification.</summary>
public sealed class TrainingRunTests(RunFixture fixture, ITestOutputHelper output) : IClassFixture<RunFixture>
{
    [Fact]
    public void Run_Learns_ReportsAndLeavesAnAdapterThatGivesTheSameModel()
    {
        var handles = TorchRuntime.LiveHandles;
        var events = RunFixture.Run(fixture.Spec("learns", spec =>
        {
            spec["max_steps"] = 30;
            spec["validation"] = new JsonObject { ["fraction"] = 0.2 };
            spec["evaluate_every"] = 10;
            spec["samples"] = new JsonArray("What is 3 plus 3?");
        }));
        Assert.Equal(handles, TorchRuntime.LiveHandles);

        var steps = events.OfType<StepEvent>().ToList();
        Assert.Equal(Enumerable.Range(1, 30), steps.Select(step => step.Step));
        Assert.True(steps[^5..].Average(step => step.Loss) < steps[..5].Average(step => step.Loss) - 1);
        Assert.True(steps.Zip(steps.Skip(1), (a, b) => b.Tokens > a.Tokens && b.SupervisedTokens > a.SupervisedTokens).All(grows => grows));
        Assert.All(steps, step => Assert.True(step is { MemoryBytes: > 1 << 20, TokensPerSecond: > 0, GradNorm: > 0 }));
        Assert.Equal([0, 10, 20, 30], events.OfType<ValidationEvent>().Select(validation => validation.Step));
        var validation = events.OfType<ValidationEvent>().ToList();
        Assert.True(validation[^1].Loss < validation[0].Loss - 1 && validation[^1].TokenAccuracy > validation[0].TokenAccuracy);
        Assert.Equal(4, events.OfType<SampleEvent>().Count());
        Assert.IsType<StartedEvent>(events[0]);
        Assert.True(Assert.IsType<FinishedEvent>(events[^1]).EffectiveTime is > 0 and <= 1);

        // The exported adapter on a fresh base measures the same validation loss.
        var adapter = events.OfType<ExportEvent>().Single(export => export.Kind == "peft").Path;
        var again = RunFixture.Run(fixture.Spec("learns-again", spec =>
        {
            spec["max_steps"] = 1;
            spec["validation"] = new JsonObject { ["fraction"] = 0.2 };
            spec["adapter"]!["init"] = adapter;
        }));
        Assert.Equal(validation[^1].Loss, again.OfType<ValidationEvent>().First().Loss, 1e-6);
        output.WriteLine($"validation {validation[0].Loss:F2} → {validation[^1].Loss:F2}; {((SampleEvent)events.FindLast(e => e is SampleEvent)!).Answer}");
    }

    [Fact]
    public void Resume_AfterAStopInTheMiddle_ContinuesBitForBit()
    {
        static void WithDropout(JsonObject spec) => spec["adapter"]!["dropout"] = 0.1;
        var whole = RunFixture.Run(fixture.Spec("whole", WithDropout));
        var specText = fixture.Spec("stopped", WithDropout);
        var first = RunFixture.Run(specText, onEvent: (e, stop) => { if (e is StepEvent { Step: 3 }) stop.Ask(StopReason.Pause); });
        Assert.IsType<PausedEvent>(first[^1]);
        var second = RunFixture.Run(specText, resume: true);
        Assert.Equal(3, second.OfType<StartedEvent>().Single().Step);

        var resumed = first.Concat(second).OfType<StepEvent>().ToList();
        Assert.Equal(whole.OfType<StepEvent>().Select(step => (step.Step, step.Loss, step.GradNorm, step.LearningRate, step.Tokens)), resumed.Select(step => (step.Step, step.Loss, step.GradNorm, step.LearningRate, step.Tokens)));
        Assert.Equal(File.ReadAllBytes(fixture.Path("whole/adapter/adapter_model.safetensors")), File.ReadAllBytes(fixture.Path("stopped/adapter/adapter_model.safetensors")));
    }

    [Theory]
    [InlineData("state.safetensors")]
    [InlineData("state.json")]
    public void Resume_WithADamagedCheckpoint_FallsBackOneAndSaysSo(string file)
    {
        var specText = fixture.Spec($"damaged-{file}");
        var whole = RunFixture.Run(specText);
        Directory.Delete(fixture.Path($"damaged-{file}/checkpoints/step-00000006"), recursive: true);
        var newest = fixture.Path($"damaged-{file}/checkpoints/step-00000004/{file}");
        var bytes = File.ReadAllBytes(newest);
        bytes[bytes.Length / 2] ^= 0x10;
        File.WriteAllBytes(newest, bytes);

        var resumed = RunFixture.Run(specText, resume: true);
        Assert.Contains(resumed.OfType<WarningEvent>(), warning => warning.Code == "checkpoint-damaged" && warning.Message.Contains("step-00000004", StringComparison.Ordinal));
        Assert.Equal(2, resumed.OfType<StartedEvent>().Single().Step);
        Assert.Equal(whole.OfType<StepEvent>().Skip(2).Select(step => step.Loss), resumed.OfType<StepEvent>().Select(step => step.Loss));
    }

    [Fact]
    public void Cancel_EndsWithoutSavingMore()
    {
        var events = RunFixture.Run(fixture.Spec("cancelled"), onEvent: (e, stop) => { if (e is StepEvent { Step: 3 }) stop.Ask(StopReason.Cancel); });
        Assert.IsType<CancelledEvent>(events[^1]);
        Assert.Equal(3, events.OfType<StepEvent>().Count());
        Assert.False(Directory.Exists(fixture.Path("cancelled/adapter")));
    }

    [Fact]
    public void Checkpoints_KeepsTheNewest()
    {
        RunFixture.Run(fixture.Spec("kept", spec => spec["checkpoint"]!["keep"] = 2));
        Assert.Equal(["step-00000004", "step-00000006"], Directory.GetDirectories(fixture.Path("kept/checkpoints")).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void NonFiniteLoss_StopsNamingTheStep_AndKeepsTheCheckpointBefore()
    {
        var specText = fixture.Spec("exploding", spec =>
        {
            spec["optimizer"]!["learning_rate"] = 1e30;
            spec["schedule"] = new JsonObject { ["name"] = "constant", ["warmup_steps"] = 2 };
        });
        var error = Assert.Throws<RefusedException>(() => RunFixture.Run(specText)).Error;
        Assert.Equal("not-finite", error.Code);
        Assert.Matches("step [3-5] \\(batch", error.Message);
        Assert.True(Directory.Exists(fixture.Path("exploding/checkpoints/step-00000002")));
    }

    [Fact]
    public void OutputFolder_InUseOrNotEmpty_IsRefused()
    {
        var specText = fixture.Spec("held");
        using (OutputFolder.Open(fixture.Path("held"), specText, resume: false))
            Assert.Equal("output-locked", Assert.Throws<RefusedException>(() => RunFixture.Run(specText, resume: true)).Error.Code);
        Assert.Equal("output-not-empty", Assert.Throws<RefusedException>(() => RunFixture.Run(specText)).Error.Code);
        Assert.Equal("spec-changed", Assert.Throws<RefusedException>(() => RunFixture.Run(fixture.Spec("held", spec => spec["seed"] = 7), resume: true)).Error.Code);
    }

    [Fact]
    public void Spec_WithMistakes_NamesEveryField()
    {
        var error = Assert.Throws<RefusedException>(() => RunFixture.Run(fixture.Spec("wrong", spec =>
        {
            spec["model"] = "/nowhere/model.gguf";
            spec["batch_size"] = 0;
            spec["adapter"] = new JsonObject { ["type"] = "loha", ["rank"] = 0, ["dropout"] = 1 };
            spec["optimizer"] = new JsonObject { ["name"] = "sgd", ["learning_rate"] = -1, ["betas"] = new JsonArray(0.9) };
            spec["schedule"] = new JsonObject { ["name"] = "step" };
            spec["device"] = "gpu";
            spec["validation"] = new JsonObject { ["fraction"] = 2 };
            spec["export"] = new JsonArray("onnx");
        }))).Error;
        foreach (var field in new[] { "model", "batch_size", "adapter.type", "adapter.rank", "adapter.dropout", "optimizer.name", "optimizer.learning_rate", "optimizer.betas", "schedule.name", "device", "validation.fraction", "export" })
            Assert.Contains($"{field}: ", error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(fixture.Path("wrong")));
    }

    [Fact]
    public void RandomWeights_TrainFromScratch_IntoAModelThatLoads()
    {
        var events = RunFixture.Run(fixture.Spec("scratch", spec =>
        {
            spec["model"] = new JsonObject
            {
                ["random"] = new JsonObject { ["hidden_size"] = 48, ["intermediate_size"] = 96, ["num_hidden_layers"] = 2, ["num_attention_heads"] = 4, ["num_key_value_heads"] = 2, ["max_position_embeddings"] = 256 },
                ["tokenizer"] = fixture.Model, ["seed"] = 3,
            };
            spec["adapter"] = new JsonObject { ["type"] = "none" };
            (spec["max_steps"], spec["validation"]) = (40, new JsonObject { ["fraction"] = 0.2 });
            spec.Remove("export");
        }));
        var validation = events.OfType<ValidationEvent>().ToList();
        Assert.Equal(Math.Log(512), validation[0].Loss, 0.1);
        Assert.True(validation[^1].Loss < 3);

        var export = events.OfType<ExportEvent>().Single();
        Assert.Equal("merged", export.Kind);
        using var model = ModelLoading.Load(export.Path, ModelUse.Inference(TensorType.Float32));
        Assert.Equal(2, model.Config.Layers);
        Assert.True(model.Config.TiedHead);
    }

    [Theory]
    [InlineData("q_proj", "v_proj")]
    [InlineData("down_proj")]
    [InlineData("model.layers.1.mlp.down_proj")]
    [InlineData("model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.k_proj", "v_proj")]
    public void Adapter_SitsOnTheTargetsAskedFor(params string[] targets)
    {
        using var model = ModelLoading.Load(fixture.Model, ModelUse.Adapters(TensorType.Float32));
        using var adapter = LoraAdapter.Create(model, new AdapterSpec { Rank = 2, Targets = new JsonArray([.. targets.Select(target => (JsonNode)target)]) }, 1);
        Assert.Equal(targets.Order(), adapter.Config.Targets.Order());
        Assert.All(adapter.Weights(), pair => Assert.True(pair.B.All(value => value == 0) && pair.A.All(value => Math.Abs(value) <= 1 / MathF.Sqrt(pair.Inputs)) && pair.A.Distinct().Count() > pair.A.Length / 2));
        var error = Assert.Throws<RefusedException>(() => LoraAdapter.Create(model, new AdapterSpec { Targets = new JsonArray("w_pack") }, 1)).Error;
        Assert.Contains("q_proj", error.Remedy, StringComparison.Ordinal);
    }
}
