using System.Diagnostics;
using System.Text.Json.Nodes;
using TokenMill.Shared.Jobs;

namespace TokenMill.Training.Tests.Loop;

/// <summary>The trainer as a process: its parent's pipe (signals: see Faults).</summary>
public sealed class TrainProcessTests(RunFixture fixture, ITestOutputHelper output) : IClassFixture<RunFixture>
{
    private static readonly string Program = Path.Combine(AppContext.BaseDirectory, "TokenMill.Training.dll");

    [Theory]
    [InlineData("pause", typeof(PausedEvent))]
    [InlineData("cancel", typeof(CancelledEvent))]
    [InlineData(null, typeof(PausedEvent))]
    public async Task ParentPipe_WordOrEnd_IsObeyedWithin5Seconds(string? word, Type expected)
    {
        using var process = Start(fixture.File($"pipe-{word}.json", [fixture.Spec($"pipe-{word}", Endless)]), "--parent-pipe", "--run", "token-7");
        await WaitForStep(process);
        var asked = Stopwatch.GetTimestamp();
        if (word is null) process.StandardInput.Close();
        else
        {
            await process.StandardInput.WriteLineAsync(word);
            await process.StandardInput.FlushAsync();
        }
        var last = await LastEvent(process);
        var took = Stopwatch.GetElapsedTime(asked);
        output.WriteLine($"{word ?? "end of file"}: {took.TotalSeconds:F1} s");
        Assert.IsType(expected, last);
        Assert.Equal("token-7", last!.Run);
        Assert.True(took < TimeSpan.FromSeconds(5));
    }

    private static void Endless(JsonObject spec) => (spec["max_steps"], spec["checkpoint"]!["every_steps"]) = (20_000, 1_000_000);         // ends by itself if a test fails to end it

    private static Process Start(string spec, params string[] options) => Process.Start(new ProcessStartInfo("dotnet", [Program, "train", spec, .. options])
    {
        RedirectStandardOutput = true, RedirectStandardInput = true,
    })!;

    private static async Task WaitForStep(Process process)
    {
        while (await process.StandardOutput.ReadLineAsync() is { } line)
            if (Shared.Json.Deserialize<TrainerEvent>(line) is StepEvent { Step: >= 2 }) return;
        Assert.Fail("the trainer ended before its second step");
    }

    private static async Task<TrainerEvent?> LastEvent(Process process)
    {
        TrainerEvent? last = null;
        while (await process.StandardOutput.ReadLineAsync() is { } line) last = Shared.Json.Deserialize<TrainerEvent>(line);
        await process.WaitForExitAsync();
        return last;
    }
}
