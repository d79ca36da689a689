using System.Text.Json.Nodes;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Loop;
using TokenMill.Training.Tests.Faults;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Tests.Loop;

/// <summary>What native code keeps from one step for the next must not add up.</summary>
public sealed class MemoryTests(RunFixture fixture, ITestOutputHelper output) : IClassFixture<RunFixture>
{
    /// <summary>Batches whose numbers of tokens are all different: each needs products of its own, of which only the recent ones may be kept.</summary>
    [Theory]
    [InlineData("lora")]
    [InlineData("qlora")]
    public async Task Steps_OfEverDifferentLengths_LeaveMemoryFlat(string adapter)
    {
        const int steps = 450;
        const long growthBytes = 45 << 20;                   // all kept: 75 to 85 MB
        var random = new Random(1);
        var rows = Enumerable.Range(0, steps).Select(step => string.Join(',', Enumerable.Range(0, 32 + step * 7 % steps).Select(_ => random.Next(256))));
        var spec = fixture.Spec($"memory-{adapter}", spec =>
        {
            (spec["data"]![0]!["path"], spec["data"]![0]!["format"]) = (fixture.File($"{adapter}.jsonl", rows.Select(ids => $$"""{"ids":[{{ids}}],"labels":[{{ids}}]}""")), "tokens");
            (spec["adapter"]!["type"], spec["batch_size"], spec["max_steps"], spec["max_length"]) = (adapter, 1, steps, 512);
            (spec["checkpoint"]!["every_steps"], spec["export"]) = (1_000_000, new JsonArray());
        });
        var smallHeap = new Dictionary<string, string> { ["DOTNET_GCgen0size"] = "400000" };            // 4 MB (hexadecimal), else .NET's heap grows with the processor's cache
        using var trainer = new TrainerProcess(fixture.File($"memory-{adapter}.json", [spec]), [], smallHeap);
        var errors = await trainer.EndAsync();

        var peaks = trainer.Events.Select(e => e.Event).OfType<StepEvent>().Select(step => step.MemoryBytes).ToList();
        Assert.True(peaks.Count == steps, errors);
        output.WriteLine($"{adapter}: {peaks[10] / 1e6:N0} MB after 10 steps, {peaks[150] / 1e6:N0} after 150, {peaks[^1] / 1e6:N0} after {steps}");
        Assert.True(peaks[^1] - peaks[10] < growthBytes, $"{(peaks[^1] - peaks[10]) / 1e6:N1} MB more");
    }

    /// <summary>Each tensor is larger than what was free: the pool grows by the difference, and leaves no holes.</summary>
    [Fact]
    public void Pool_OfEverLargerTensors_GrowsToTheLargest()
    {
        var before = ProcessMemory.PoolBytes();
        foreach (var megabytes in new[] { 70, 130, 195, 260 }) Tensor.From(new float[megabytes << 18], megabytes << 18).Dispose();
        var grown = ProcessMemory.PoolBytes() - before;
        output.WriteLine($"{grown / 1e6:N0} MB");
        Assert.True(grown < 450 << 20, $"{grown / 1e6:N0} MB");
    }
}
