using System.Diagnostics;
using System.Text.Json.Nodes;
using TokenMill.Shared.Jobs;

namespace TokenMill.Training.Tests.Loop;

/// <summary>The trainer as a process: signals, its parent's pipe, and kill -9.</summary>
public sealed class TrainProcessTests(RunFixture fixture, ITestOutputHelper output) : IClassFixture<RunFixture>
{
    private static readonly string Program = Path.Combine(AppContext.BaseDirectory, "TokenMill.Training.dll");

    [Fact]
    public async Task Kill9_AtRandomMoments_ThenResume_GivesTheLossesOfAnUninterruptedRun()
    {
        static void Long(JsonObject spec) => (spec["max_steps"], spec["checkpoint"]!["every_steps"]) = (40, 3);
        var expected = RunFixture.Run(fixture.Spec("calm", Long)).OfType<StepEvent>().ToDictionary(step => step.Step, step => step.Loss);

        var spec = fixture.File("killed.json", [fixture.Spec("killed", Long)]);
        var seen = new Dictionary<int, double>();
        var random = new Random(20);
        for (var kill = 0; kill < 5; kill++)
        {
            using var process = Start(spec, "--resume");
            var after = random.Next(2, 7);
            var delay = random.Next(30);
            for (var steps = 0; steps < after && await process.StandardOutput.ReadLineAsync() is { } line;)
                if (Note(line, seen) is StepEvent) steps++;
            await Task.Delay(delay);
            process.Kill();                                 // SIGKILL
            while (await process.StandardOutput.ReadLineAsync() is { } rest) Note(rest, seen);
            await process.WaitForExitAsync();
            output.WriteLine($"killed {delay} ms after {after} steps, at step {seen.Keys.DefaultIfEmpty().Max()}");
        }
        using var last = Start(spec, "--resume");
        while (await last.StandardOutput.ReadLineAsync() is { } line) Note(line, seen);
        await last.WaitForExitAsync();
        Assert.Equal(0, last.ExitCode);
        Assert.Equal(expected.OrderBy(step => step.Key), seen.OrderBy(step => step.Key));
        Assert.Equal(File.ReadAllBytes(fixture.Path("calm/adapter/adapter_model.safetensors")), File.ReadAllBytes(fixture.Path("killed/adapter/adapter_model.safetensors")));
    }

    [Fact]
    public async Task Sigterm_SavesAndExits130()
    {
        using var process = Start(fixture.File("term.json", [fixture.Spec("term", Endless)]));
        await WaitForStep(process);
        using var kill = Process.Start("kill", ["-TERM", $"{process.Id}"]);
        var last = await LastEvent(process);
        Assert.IsType<PausedEvent>(last);
        Assert.Equal(130, process.ExitCode);
        Assert.NotEmpty(Directory.GetDirectories(fixture.Path("term/checkpoints"), "step-*"));
    }

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

    /// <summary>A line cut short by the kill is no event.</summary>
    private static TrainerEvent? Note(string line, Dictionary<int, double> seen)
    {
        TrainerEvent @event;
        try
        {
            @event = Shared.Json.Deserialize<TrainerEvent>(line);
        }
        catch (System.Text.Json.JsonException)
        {
            return null;
        }
        if (@event is not StepEvent step) return @event;
        if (seen.TryGetValue(step.Step, out var before)) Assert.Equal(before, step.Loss);
        seen[step.Step] = step.Loss;
        return step;
    }
}
