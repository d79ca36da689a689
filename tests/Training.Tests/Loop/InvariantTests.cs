using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.Safetensors;
using TokenMill.Shared.Jobs;
using TokenMill.Testing;
using TokenMill.Training.Loop;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Tests.Loop;

/// <summary>What must not change a run: how a batch is divided or packed, where it was stopped, how small its updates are.</summary>
public sealed class InvariantTests(RunFixture fixture, ITestOutputHelper output) : IClassFixture<RunFixture>
{
    private static readonly (int BatchSize, int Accumulation, bool Packing)[] Divisions = [(4, 2, true), (8, 1, true), (1, 8, true), (2, 4, false), (8, 1, false), (1, 8, false)];

    [Theory]
    [InlineData("sft", "lora")]
    [InlineData("sft", "dora")]
    [InlineData("sft", "qlora")]
    [InlineData("sft", "none")]
    [InlineData("dpo", "lora")]
    [InlineData("pretrain", "lora")]
    public void Loss_DoesNotDependOnHowTheBatchIsDividedOrPacked(string method, string adapter)
    {
        List<StepEvent>? expected = null;
        double worstLoss = 0, worstNorm = 0;
        foreach (var (batchSize, accumulation, packing) in Divisions)
        {
            var steps = RunFixture.Run(fixture.Spec($"{method}-{adapter}-{batchSize}-{accumulation}-{packing}", spec =>
            {
                (spec["method"], spec["adapter"]!["type"], spec["max_steps"], spec["export"]) = (method, adapter, 3, new JsonArray());
                (spec["batch_size"], spec["accumulation"], spec["packing"]) = (batchSize, accumulation, packing);
                if (method == "dpo") spec["data"]![0]!["path"] = Pairs();
                if (adapter == "none") spec["optimizer"]!["learning_rate"] = 1e-3;
            })).OfType<StepEvent>().ToList();
            expected ??= steps;
            foreach (var (e, a) in expected.Zip(steps))
            {
                Assert.Equal((e.Tokens, e.SupervisedTokens), (a.Tokens, a.SupervisedTokens));
                worstLoss = Math.Max(worstLoss, Math.Abs(e.Loss - a.Loss));
                worstNorm = Math.Max(worstNorm, Math.Abs(a.GradNorm / e.GradNorm - 1));
            }
        }
        output.WriteLine($"{method} {adapter}: worst loss {worstLoss:E1}, gradient norm {worstNorm:E1} relative over {Divisions.Length} divisions");
        Assert.True(worstLoss < 1e-5 && worstNorm < 1e-5);
    }

    [Theory]
    [InlineData("sft", "lora")]
    [InlineData("sft", "qlora")]
    [InlineData("sft", "none")]
    [InlineData("dpo", "dora")]
    public void ActivationCheckpointing_ChangesNothing(string method, string adapter)
    {
        var runs = new[] { false, true }.Select(checkpointing => RunFixture.Run(fixture.Spec($"checkpointing-{method}-{adapter}-{checkpointing}", spec =>
        {
            (spec["method"], spec["adapter"]!["type"], spec["max_steps"], spec["export"], spec["activation_checkpointing"]) = (method, adapter, 3, new JsonArray(), checkpointing);
            if (method == "dpo") spec["data"]![0]!["path"] = Pairs();
            if (adapter == "none") spec["optimizer"]!["learning_rate"] = 1e-3;
            else spec["adapter"]!["dropout"] = 0.1;
        })).OfType<StepEvent>().Select(step => (step.Loss, step.GradNorm)).ToList()).ToList();
        Assert.Equal(3, runs[0].Count);
        Assert.Equal(runs[0], runs[1]);
    }

    [Fact]
    public void Resume_AtAnyStep_ContinuesBitForBit()
    {
        static void Everything(JsonObject spec)
        {
            (spec["adapter"]!["dropout"], spec["neftune_alpha"], spec["label_smoothing"], spec["accumulation"]) = (0.1, 5, 0.1, 2);
            (spec["validation"], spec["evaluate_every"], spec["checkpoint"]) = (new JsonObject { ["fraction"] = 0.2 }, 2, new JsonObject { ["every_steps"] = 100 });
        }
        static IEnumerable<object> Numbers(IEnumerable<TrainerEvent> events) => events.Select(e => e switch
        {
            StepEvent step => (step.Step, step.Loss, step.GradNorm, step.LearningRate, step.Tokens, step.SupervisedTokens),
            ValidationEvent validation => (validation.Step, validation.Loss, validation.TokenAccuracy),
            _ => (object?)null,
        }).OfType<object>();
        var whole = RunFixture.Run(fixture.Spec("whole", Everything));
        for (var stopped = 1; stopped < 6; stopped++)
        {
            var specText = fixture.Spec($"stopped-{stopped}", Everything);
            var first = RunFixture.Run(specText, onEvent: (e, stop) => { if (e is StepEvent step && step.Step == stopped) stop.Ask(StopReason.Pause); });
            var second = RunFixture.Run(specText, resume: true);
            Assert.Equal(stopped, second.OfType<StartedEvent>().Single().Step);
            Assert.Equal(Numbers(whole), Numbers(first.Concat(second)));
        }
    }

    [Fact]
    public void Resume_InBFloat16OnAllThreads_StaysNearOverFiftySteps()
    {
        Reference.Require(TorchRuntime.Describe().HasBFloat16, "bfloat16 products need AVX-512");
        string Spec(string name) => fixture.Spec(name, spec =>
        {
            (spec["dtype"], spec["threads"], spec["max_steps"], spec["optimizer"]!["learning_rate"]) = ("bfloat16", 2, 50, 1e-3);
            (spec["export"], spec["checkpoint"]) = (new JsonArray(), new JsonObject { ["every_steps"] = 7 });
        });
        var whole = RunFixture.Run(Spec("whole-bf16"));
        var first = RunFixture.Run(Spec("stopped-bf16"), onEvent: (e, stop) => { if (e is StepEvent { Step: 17 }) stop.Ask(StopReason.Pause); });
        var second = RunFixture.Run(Spec("stopped-bf16"), resume: true);
        var worst = whole.OfType<StepEvent>().Zip(first.Concat(second).OfType<StepEvent>(), (a, b) => Math.Abs(a.Loss - b.Loss)).Max();
        output.WriteLine($"worst difference of a loss {worst:E1}");
        Assert.Equal(50, first.Concat(second).OfType<StepEvent>().Count());
        Assert.True(worst < 1e-3);
    }

    /// <summary>In bf16 a weight of 0.05 has neighbours 2e-4 away; AdamW's step at this rate is a two-hundredth of that.</summary>
    [Theory]
    [InlineData("adamw")]
    [InlineData("adamw8bit")]
    public void TinyUpdates_OfBFloat16Weights_DoNotVanish(string optimizer)
    {
        Reference.Require(TorchRuntime.Describe().HasBFloat16, "bfloat16 products need AVX-512");
        const double rate = 1e-6;
        const int steps = 10;
        RunFixture.Run(fixture.Spec($"tiny-{optimizer}", spec =>
        {
            (spec["adapter"], spec["dtype"], spec["max_steps"], spec["export"]) = (new JsonObject { ["type"] = "none" }, "bfloat16", steps, new JsonArray());
            (spec["optimizer"], spec["schedule"]) = (new JsonObject { ["name"] = optimizer, ["learning_rate"] = rate }, new JsonObject { ["name"] = "constant" });
        }));
        using var before = GgufFile.Open(fixture.Model);
        using var after = SafetensorsFile.Open(fixture.Path($"tiny-{optimizer}/checkpoints/step-000000{steps}/state.safetensors"));
        const string name = "model.layers.0.mlp.down_proj.weight";
        var (tensor, trained) = (before.Find("blk.0.ffn_down.weight")!, after.ReadFloats(after.Find(name)!));
        var original = new float[trained.Length];
        before.ReadFloats(tensor, original);
        var moved = original.Zip(trained, (a, b) => Math.Abs((double)a - b)).Average();
        output.WriteLine($"{optimizer}: moved by {moved / rate:F1} rates in {steps} steps");
        Assert.InRange(moved, 0.2 * steps * rate, steps * rate);
    }

    private string Pairs() => fixture.File("pairs.jsonl", Enumerable.Range(1, 24).Select(i => JsonSerializer.Serialize(new
    {
        prompt = new[] { new { role = "user", content = $"What is {i} plus {i}?" } },
        chosen = new[] { new { role = "assistant", content = $"{2 * i}" } },
        rejected = new[] { new { role = "assistant", content = $"Why {i}? " + string.Concat(Enumerable.Repeat("Hm. ", i % 4)) } },
    })));
}
