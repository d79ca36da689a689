using System.Diagnostics;
using System.Text.Json.Nodes;
using TokenMill.Shared.Jobs;
using TokenMill.Testing;
using TokenMill.Training.Tests.Loop;

namespace TokenMill.Training.Tests.Faults;

/// <summary>SIGTERM is heeded within five seconds whatever the trainer is at, and the run goes on from there.</summary>
public sealed class StopTests(RunFixture fixture, ITestOutputHelper output) : IClassFixture<RunFixture>
{
    private static readonly TimeSpan Allowed = TimeSpan.FromSeconds(5);

    [Theory]
    [InlineData("loading")]
    [InlineData("reference")]
    [InlineData("step")]
    [InlineData("validation")]
    [InlineData("export")]
    public async Task Sigterm_SavesAndEndsWithinFiveSeconds(string stage)
    {
        var spec = fixture.File($"{stage}.json", [fixture.Spec(stage, s => Prepare(s, stage))]);
        using var trainer = new TrainerProcess(spec);
        Assert.True(trainer.WaitFor(() => IsAt(trainer, stage)), $"never at {stage}: {(trainer.HasExited ? await trainer.EndAsync() : "")}");
        await Task.Delay(50, TestContext.Current.CancellationToken);
        var asked = Stopwatch.GetTimestamp();
        trainer.Terminate();
        var errors = await trainer.EndAsync();
        var took = Stopwatch.GetElapsedTime(asked);
        output.WriteLine($"{stage}: at step {trainer.Last?.Step}, ended {took.TotalSeconds:0.00} s after SIGTERM");
        Assert.InRange(took, TimeSpan.Zero, Allowed);
        Assert.True(trainer.ExitCode == 130, errors);
        Assert.IsType<PausedEvent>(trainer.Last);

        var done = trainer.Last!.Step;
        if (done > 0) Assert.True(Directory.Exists(fixture.Path($"{stage}/checkpoints/step-{done:D8}")));
        if (stage != "export") return;
        Assert.False(File.Exists(fixture.Path($"{stage}/model.gguf")));
        Assert.Empty(Directory.GetFiles(fixture.Path(stage), "*.tmp"));
        using var again = new TrainerProcess(spec, "--resume");
        await again.EndAsync();
        Assert.IsType<FinishedEvent>(again.Last);
        Assert.True(File.Exists(fixture.Path($"{stage}/model.gguf")));
    }

    private static bool IsAt(TrainerProcess trainer, string stage) => stage switch
    {
        "loading" => trainer.Age > TimeSpan.FromSeconds(1),
        "reference" => trainer.Age > TimeSpan.FromSeconds(1.5),
        "step" => trainer.Last is StepEvent { Step: > 2 },
        "validation" => trainer.Last is StepEvent { Step: 2 },
        _ => trainer.Last is CheckpointEvent { Step: 1 },
    };

    private void Prepare(JsonObject spec, string stage)
    {
        (spec["max_steps"], spec["checkpoint"]!["every_steps"]) = (20_000, 1_000_000);         // ends by itself if it cannot be stopped
        switch (stage)
        {
            case "loading":                                     // takes many seconds
                spec["model"] = new JsonObject
                {
                    ["random"] = new JsonObject { ["hidden_size"] = 1024, ["intermediate_size"] = 4096, ["num_hidden_layers"] = 24, ["num_attention_heads"] = 16 },
                    ["tokenizer"] = fixture.Model,
                };
                (spec["adapter"]!["type"], spec["export"]) = ("none", new JsonArray());
                break;
            case "reference":
                spec["method"] = "dpo";
                spec["data"]![0]!["path"] = fixture.File("pairs.jsonl", Enumerable.Range(0, 6_000).Select(Pair));
                break;
            case "validation":
                spec["data"]![0]!["path"] = fixture.File("many.jsonl", Enumerable.Range(0, 20_000).Select(i => RunFixture.Conversation($"What is {i}?", string.Concat(Enumerable.Repeat($"{i} ", 12)))));
                (spec["validation"], spec["evaluate_every"]) = (new JsonObject { ["fraction"] = 0.9 }, 2);
                break;
            case "export":
                spec["model"] = Reference.Locate("models/SmolLM2-135M-Instruct-Q4_1.gguf");
                (spec["max_steps"], spec["batch_size"], spec["export"]) = (1, 1, new JsonArray("merged"));
                spec.Remove("threads");
                break;
        }
    }

    private static string Pair(int i) => new JsonObject
    {
        ["prompt"] = $"Count to {i}.", ["chosen"] = string.Concat(Enumerable.Repeat($"{i}, ", 20)), ["rejected"] = string.Concat(Enumerable.Repeat("no ", 20)),
    }.ToJsonString();
}
