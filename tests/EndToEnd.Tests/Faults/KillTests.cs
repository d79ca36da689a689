using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using TokenMill.Shared;
using TokenMill.Shared.Jobs;
using TokenMill.Testing;

namespace TokenMill.EndToEnd.Tests.Faults;

/// <summary>
/// kill -9 at random moments, which are printed: trainers, serving processes and the platform itself die 32 times; afterwards nothing
/// is lost or doubled, the run has the losses of one that was never interrupted, and the deployment answers.
/// </summary>
public sealed class KillTests(ITestOutputHelper output)
{
    private const int TrainerKills = 12, PlatformKills = 8, ServingKills = 8, PlatformKillsWhileServing = 4;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly Stopwatch _clock = Stopwatch.StartNew();

    [Fact]
    public async Task Training_WithTrainerAndPlatformKilled_EndsAsIfNothingHadHappened()
    {
        Reference.Require(File.Exists(Path.Combine(Reference.Repository, ".native", "torch", "libtokenmill_torch.so")), "no libtorch on this machine");
        var random = new Random(Seed());
        await using var data = await PlatformData.CreateAsync(trains: true, deploys: false);
        var victims = Enumerable.Repeat("trainer", TrainerKills).Concat(Enumerable.Repeat("platform", PlatformKills)).ToArray();
        random.Shuffle(victims);
        var platform = await PlatformProcess.StartAsync(data.Folder);
        try
        {
            var killed = new HashSet<int>();
            foreach (var victim in victims)
            {
                // A living trainer with a new checkpoint, since a run that dies again and again without one has failed; then any moment of the next half second.
                var reached = data.CheckpointStep();
                bool IsBack() => platform.Children("train") is [var trainer] && !killed.Contains(trainer) && data.CheckpointStep() > reached;
                await UntilAsync(() => IsBack() || data.RunState() is "Succeeded" or "Failed", () => $"no checkpoint after {reached}: {data.RunState()} {data.RunError()}\n{platform.Output}");
                await Task.Delay(random.Next(0, 500), TestContext.Current.CancellationToken);
                var trainers = platform.Children("train");
                Assert.True(trainers.Count == 1, $"the run ended too early: {data.RunState()} {data.RunError()} at step {data.RunStep()}");
                Log($"kill -9 {victim} at step {data.RunStep()}");
                if (victim == "trainer")
                {
                    PlatformProcess.Kill(trainers[0]);
                    killed.Add(trainers[0]);
                }
                else
                {
                    await platform.KillAsync();
                    platform = await PlatformProcess.StartAsync(data.Folder);
                }
            }
            await UntilAsync(() => data.RunState() is "Succeeded" or "Failed" or "Cancelled", () => $"still {data.RunState()} at step {data.RunStep()}\n{platform.Output}");
            Assert.True(data.RunState() == "Succeeded", $"{data.RunState()}: {data.RunError()}\n{platform.Output}");
        }
        finally
        {
            await platform.DisposeAsync();
        }

        var events = data.Events();
        Assert.Equal(Enumerable.Range(1, PlatformData.Steps), events.OfType<StepEvent>().Select(e => e.Step));
        Assert.Equal(Enumerable.Range(0, PlatformData.Steps / PlatformData.EvaluateEvery + 1).Select(i => i * PlatformData.EvaluateEvery), events.OfType<ValidationEvent>().Select(e => e.Step));
        Assert.Single(events.OfType<FinishedEvent>());
        Assert.Equal("adapter.gguf", Path.GetFileName(Assert.Single(data.Results())));
        await AssertLikeUninterruptedAsync(data, events);
    }

    [Fact]
    public async Task PlatformKilled_ItsChildrenEndWithinFiveSeconds()
    {
        Reference.Require(File.Exists(Path.Combine(Reference.Repository, ".native", "torch", "libtokenmill_torch.so")), "no libtorch on this machine");
        await using var data = await PlatformData.CreateAsync(trains: true, deploys: true);
        await using var platform = await PlatformProcess.StartAsync(data.Folder);
        await UntilAsync(() => data.RunStep() >= 1 && platform.Children("serve").Count > 0, () => $"{data.RunState()}\n{platform.Output}");
        await platform.KillAsync();
        Log("kill -9 platform");
        var watch = Stopwatch.StartNew();
        await UntilAsync(() => PlatformProcess.Orphans(data.Folder).Count == 0, () => $"orphans: {string.Join(' ', PlatformProcess.Orphans(data.Folder))}");
        Log($"no child left after {watch.Elapsed.TotalSeconds:0.0} s");
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 6);
    }

    [Fact]
    public async Task PlatformStopped_RunIsPausedWithItsLastStepSaved_AndGoesOnAtTheNextStart()
    {
        Reference.Require(File.Exists(Path.Combine(Reference.Repository, ".native", "torch", "libtokenmill_torch.so")), "no libtorch on this machine");
        await using var data = await PlatformData.CreateAsync(trains: true, deploys: false);
        await using (var platform = await PlatformProcess.StartAsync(data.Folder))
        {
            await UntilAsync(() => data.RunStep() >= 2, () => $"{data.RunState()} {data.RunError()}\n{platform.Output}");
            Assert.Equal(0, await platform.StopAsync());
        }
        var (state, step) = (data.RunState(), data.RunStep());
        Log($"stopped: {state} at step {step}");
        Assert.Equal("Queued", state);
        Assert.Equal(step, data.Events().OfType<CheckpointEvent>().Max(c => c.Step));
        await using var again = await PlatformProcess.StartAsync(data.Folder);
        await UntilAsync(() => data.RunStep() > step, () => $"{data.RunState()} {data.RunError()}\n{again.Output}");
    }

    [Fact]
    public async Task Deployment_WithServingAndPlatformKilled_ComesBackAndAnswers()
    {
        var random = new Random(Seed());
        await using var data = await PlatformData.CreateAsync(trains: false, deploys: true);
        var victims = Enumerable.Repeat("serving", ServingKills).Concat(Enumerable.Repeat("platform", PlatformKillsWhileServing)).ToArray();
        random.Shuffle(victims);
        var platform = await PlatformProcess.StartAsync(data.Folder);
        try
        {
            await AnswersAsync(platform, data, null);
            foreach (var victim in victims)
            {
                await Task.Delay(random.Next(0, 300), TestContext.Current.CancellationToken);
                var before = platform.Children("serve");
                Log($"kill -9 {victim}");
                if (victim == "serving")
                {
                    foreach (var engine in before) PlatformProcess.Kill(engine);
                }
                else
                {
                    await platform.KillAsync();
                    platform = await PlatformProcess.StartAsync(data.Folder);
                }
                await AnswersAsync(platform, data, before);
                Assert.Single(platform.Children("serve"));
            }
        }
        finally
        {
            await platform.DisposeAsync();
        }
    }

    /// <summary>Waits until an engine other than the killed ones is ready, and asks it through the public API.</summary>
    private async Task AnswersAsync(PlatformProcess platform, PlatformData data, IReadOnlyList<int>? killed)
    {
        await UntilAsync(() => data.DeploymentState().State == "Ready" && platform.Children("serve") is [var engine] && killed?.Contains(engine) != true || data.DeploymentState().State == "Failed", () => $"{data.DeploymentState()}\n{platform.Output}");
        Assert.True(data.DeploymentState().State == "Ready", $"{data.DeploymentState()}");
        using var client = new HttpClient { BaseAddress = platform.Address, Timeout = TimeSpan.FromSeconds(30) };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", data.ApiKey);
        using var response = await client.PostAsJsonAsync("/v1/chat/completions", new { model = "tiny", messages = new[] { new { role = "user", content = "What is 2 plus 2?" } }, max_tokens = 4 }, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode, text);
    }

    /// <summary>The same specification, trained once without the platform and without interruption.</summary>
    private async Task AssertLikeUninterruptedAsync(PlatformData data, IReadOnlyList<TrainerEvent> events)
    {
        var path = Path.Combine(data.Folder, "reference.json");
        await File.WriteAllTextAsync(path, Json.Serialize(data.Spec with { Output = Path.Combine(data.Folder, "reference") }), TestContext.Current.CancellationToken);
        var start = new ProcessStartInfo("dotnet", [PlatformProcess.Program("Training"), "train", path]) { RedirectStandardOutput = true };
        start.Environment["TOKENMILL_HOME"] = Reference.Repository;
        using var trainer = Process.Start(start)!;
        var lines = (await trainer.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var reference = lines.Select(Json.Deserialize<TrainerEvent>).ToList();
        var steps = events.OfType<StepEvent>().Zip(reference.OfType<StepEvent>()).ToList();
        Assert.Equal(PlatformData.Steps, steps.Count);
        Assert.All(steps, pair => Assert.Equal(pair.Second.Tokens, pair.First.Tokens));
        var loss = steps.Max(pair => Math.Abs(pair.First.Loss - pair.Second.Loss));
        var validation = events.OfType<ValidationEvent>().Zip(reference.OfType<ValidationEvent>()).Max(pair => Math.Abs(pair.First.Loss - pair.Second.Loss));
        output.WriteLine($"against a run without interruption: largest difference of a step's loss {loss:g3}, of a validation loss {validation:g3}");
        Assert.InRange(loss, 0, 1e-5);
        Assert.InRange(validation, 0, 1e-5);
    }

    private static async Task UntilAsync(Func<bool> condition, Func<string> why)
    {
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(watch.Elapsed < Patience, $"not within {Patience.TotalSeconds} s: {why()}");
            await Task.Delay(40, TestContext.Current.CancellationToken);
        }
    }

    private int Seed()
    {
        var seed = Environment.GetEnvironmentVariable("TOKENMILL_FAULT_SEED") is { } given ? int.Parse(given, System.Globalization.CultureInfo.InvariantCulture) : Random.Shared.Next();
        output.WriteLine($"TOKENMILL_FAULT_SEED={seed} makes the same choices again");
        return seed;
    }

    private void Log(string what) => output.WriteLine($"{_clock.Elapsed.TotalSeconds,7:0.00} s  {what}");
}
