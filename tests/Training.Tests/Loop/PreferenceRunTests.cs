using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Loop;

namespace TokenMill.Training.Tests.Loop;

/// <summary>Whole runs of preference optimisation, on rows of text.</summary>
public sealed class PreferenceRunTests(RunFixture fixture, ITestOutputHelper output) : IClassFixture<RunFixture>
{
    private string Pairs => fixture.File("pairs.jsonl", Enumerable.Range(1, 24).Select(i => JsonSerializer.Serialize(new
    {
        prompt = new[] { Message("user", $"What is {i} plus {i}?") },
        chosen = new[] { Message("assistant", $"{2 * i}") },
        rejected = new[] { Message("assistant", $"Why do you ask about {i}? " + string.Concat(Enumerable.Repeat("Hm. ", i % 4))) },
    })));

    [Theory]
    [InlineData("lora")]
    [InlineData("none")]
    public void Preferences_AreLearned_ReportedAndResumedExactly(string adapter)
    {
        string Spec(string name) => fixture.Spec($"{name}-{adapter}", spec =>
        {
            (spec["method"], spec["data"], spec["max_steps"]) = ("dpo", new JsonArray(new JsonObject { ["path"] = Pairs }), 12);
            (spec["validation"], spec["evaluate_every"]) = (new JsonObject { ["fraction"] = 0.2 }, 4);
            if (adapter == "none") (spec["adapter"]!["type"], spec["optimizer"]!["learning_rate"], spec["export"]) = ("none", 1e-3, new JsonArray("merged"));
        });
        var events = RunFixture.Run(Spec("whole"));
        var steps = events.OfType<StepEvent>().ToList();
        var reference = events.TakeWhile(e => e is not StartedEvent).OfType<ReferenceEvent>().ToList();
        Assert.Equal((0, 24, 24, 24), (reference[0].Done, reference[0].Pairs, reference[^1].Done, reference[^1].Pairs));
        Assert.Equal(Math.Log(2), steps[0].Loss, 1e-6);
        Assert.Equal((0, 0, 0), (steps[0].RewardChosen, steps[0].RewardRejected, steps[0].Accuracy));
        Assert.True(steps[^1].Accuracy > 0.9 && steps[^1].RewardChosen > steps[^1].RewardRejected + 0.3);
        var validations = events.OfType<ValidationEvent>().ToList();
        Assert.Equal(Math.Log(2), validations[0].Loss, 1e-6);
        Assert.True(validations[^1] is { Loss: < 0.6, Accuracy: > 0.9 });
        output.WriteLine($"{adapter}: loss {steps[0].Loss:F3} → {steps[^1].Loss:F3}, validation {validations[^1].Loss:F3}, rewards {steps[^1].RewardChosen:F2} and {steps[^1].RewardRejected:F2}");

        // Stopped in the middle and resumed: the reference is read, not computed from the weights as they are by then.
        var specText = Spec("stopped");
        var first = RunFixture.Run(specText, onEvent: (e, stop) => { if (e is StepEvent { Step: 5 }) stop.Ask(StopReason.Pause); });
        var file = fixture.Path($"stopped-{adapter}/reference.bin");
        var written = File.GetLastWriteTimeUtc(file);
        var second = RunFixture.Run(specText, resume: true);
        Assert.Empty(second.OfType<ReferenceEvent>());
        Assert.Equal(written, File.GetLastWriteTimeUtc(file));
        Assert.Equal(steps.Select(Numbers), first.Concat(second).OfType<StepEvent>().Select(Numbers));

        // Without the file the reference is what the run started from, all the same.
        File.Delete(file);
        Directory.Delete(fixture.Path($"stopped-{adapter}/checkpoints/step-00000012"), recursive: true);
        var third = RunFixture.Run(specText, resume: true);
        Assert.Equal(steps.Skip(10).Select(Numbers), third.OfType<StepEvent>().Select(Numbers));
    }

    [Fact]
    public void Pairs_AreWantedByDpoAlone()
    {
        string Code(Action<JsonObject> change) => Assert.Throws<RefusedException>(() => RunFixture.Run(fixture.Spec(Guid.NewGuid().ToString("N"), change))).Error.Code;
        Assert.Equal("not-preferences", Code(spec => spec["method"] = "dpo"));
        Assert.Equal("not-sequences", Code(spec => spec["data"] = new JsonArray(new JsonObject { ["path"] = Pairs })));
    }

    private static object Message(string role, string content) => new { role, content };

    private static object Numbers(StepEvent step) => (step.Step, step.Loss, step.GradNorm, step.RewardChosen, step.RewardRejected, step.Accuracy);
}
