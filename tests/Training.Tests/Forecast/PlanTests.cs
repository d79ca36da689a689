using System.Text.Json.Nodes;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Forecast;
using TokenMill.Training.Models;
using TokenMill.Training.Tests.Loop;

namespace TokenMill.Training.Tests.Forecast;

/// <summary>What a plan promises, against the run itself.</summary>
public sealed class PlanTests(RunFixture fixture, ITestOutputHelper output) : IClassFixture<RunFixture>
{
    [Theory]
    [InlineData("lora")]
    [InlineData("none")]
    [InlineData("lora", true)]
    public async Task Plan_CountsWhatTheRunThenDoes(string adapter, bool deep = false)
    {
        var specText = fixture.Spec($"planned-{adapter}-{deep}", spec =>
        {
            spec["adapter"]!["type"] = adapter;
            if (deep)                                       // a layer that the first trial is built without
            {
                spec["adapter"]!["rank_pattern"] = new JsonObject { ["layers\\.1\\.self_attn\\.q_proj"] = 3 };
                spec["adapter"]!["alpha_pattern"] = new JsonObject { ["layers\\.1\\.mlp\\.down_proj"] = 2 };
            }
            spec["validation"] = new JsonObject { ["fraction"] = 0.2 };
            spec.Remove("max_steps");
            spec.Remove("export");
        });
        var cache = new ProbeCache(fixture.Path($"probes-{adapter}-{deep}"));
        var plan = await new Planning(cache, TimeProvider.System).PlanAsync(FineTuneSpec.Parse(specText), TestContext.Current.CancellationToken);
        var events = RunFixture.Run(specText);

        var (started, last) = (events.OfType<StartedEvent>().Single(), events.OfType<StepEvent>().Last());
        Assert.Equal((started.TotalSteps, started.TrainableParameters), (plan.Steps, plan.TrainableParameters));
        Assert.Equal((long)started.Plan!["parameters"]!, plan.Parameters);
        Assert.Equal((int)started.Plan["examples_per_epoch"]!, plan.RowsPerEpoch);
        Assert.Equal(last.Tokens, plan.TokensPerEpoch * 3);
        Assert.Equal(plan.PeakMemoryBytes, plan.Memory.Values.Sum());
        Assert.InRange(plan.Seconds.Expected, plan.Seconds.Low, plan.Seconds.High);
        Assert.True(plan is { Fits: true, Sampled: false, Advice: [] });
        var checkpoint = new FileInfo(Path.Combine(events.OfType<CheckpointEvent>().Last().Path, "state.safetensors")).Length;
        Assert.InRange(checkpoint, plan.CheckpointBytes, plan.CheckpointBytes + 20_000);

        if (deep) return;

        // Other data, another number of steps: the machine's probe still holds.
        var again = fixture.Spec("planned-again", spec => { spec["adapter"]!["type"] = adapter; spec["batch_size"] = 2; spec.Remove("export"); });
        Assert.NotNull(cache.Find(FineTuneSpec.Parse(again), new ModelSource(fixture.Model).Config()));
        output.WriteLine($"{plan}");
    }

    [Fact]
    public void LargeSortedFile_IsSampledFromEndToEnd()
    {
        var rows = Enumerable.Range(1, 30_000).Select(i => RunFixture.Conversation($"Question {i}?", string.Concat(Enumerable.Repeat("yes ", i / 200))));
        var spec = FineTuneSpec.Parse(fixture.Spec("sampled", s => { s["data"]![0]!["path"] = fixture.File("large.jsonl", rows); s["max_length"] = 256; }));
        var config = new ModelSource(fixture.Model).Config();
        var workload = Workload.Of(spec, new ModelSource(spec.Model), config, TestContext.Current.CancellationToken);
        Assert.True(workload.Sampled);
        output.WriteLine($"{workload.RowsPerEpoch} rows, {workload.TokensPerEpoch} tokens");
        Assert.InRange(workload.RowsPerEpoch, 29_000, 31_000);
        Assert.Equal(6, workload.Steps);
    }
}
