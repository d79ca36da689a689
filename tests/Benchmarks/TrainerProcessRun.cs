using System.Diagnostics;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;

namespace TokenMill.Benchmarks;

/// <summary>What one run reached. <c>DataSeconds</c>: reading, tokenising and keeping all rows.</summary>
internal sealed record Measured(double TokensPerSecond, double PeakBytes, double DataSeconds = 0);

/// <summary>
/// One training run as a user starts it. Its first step is a warm-up and is left out, as the peer does; reading, tokenising
/// and packing are inside the clock, which the peer's are not.
/// </summary>
internal static class TrainerProcessRun
{
    public static async Task<Measured> RunAsync(FineTuneSpec spec)
    {
        var path = spec.Output + ".json";
        await File.WriteAllTextAsync(path, Json.Serialize(spec));
        var start = new ProcessStartInfo("dotnet", [Installation.Program("Training"), "train", path]) { RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        var events = new List<TrainerEvent>();
        while (await process.StandardOutput.ReadLineAsync() is { } line) events.Add(Json.Deserialize<TrainerEvent>(line));
        await process.WaitForExitAsync();
        if (events.OfType<FailedEvent>().FirstOrDefault() is { } failed) throw new RefusedException(failed.Code, failed.Message, failed.Remedy);

        var data = (double)events.OfType<StartedEvent>().Single().Plan!["data_seconds"]!;
        var rows = (int)events.OfType<StartedEvent>().Single().Plan!["examples_per_epoch"]!;     // of data that the run does not finish, reading is not its cost
        var steps = events.OfType<StepEvent>().ToList();
        var counted = steps.Skip(1).ToList();
        var stepSeconds = steps.Zip(counted, (before, step) => (step.Tokens - before.Tokens) / step.TokensPerSecond).Sum();
        return new Measured((steps[^1].Tokens - steps[0].Tokens) / (stepSeconds + (spec.MaxSteps * spec.BatchSize >= rows ? data : 0)), steps.Max(step => step.MemoryBytes), data);
    }
}
