using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Tests.Jobs;

public sealed class FineTuneJobTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Run_Finishes_OneResultWithItsHash_EveryStepOnce()
    {
        var folder = QueueHost.NewFolder();
        await using var host = await QueueHost.StartAsync(folder, new ScriptedTrainer(folder));
        var id = await host.StartRunAsync();
        var run = await host.WaitAsync(id, r => r.IsFinished);
        Assert.Equal(FineTuneRunState.Succeeded, run.State);
        Assert.Equal(20, run.Step);
        await AssertStepsOnceAsync(host, id, 20);
        await using var db = host.Database.Open(host.Workspace);
        var result = Assert.Single(db.ModelVersions, v => v.FineTuneRunId == id);
        Assert.Equal(run.ResultVersionId, result.Id);
        Assert.Equal(ModelKind.Adapter, result.Kind);
        Assert.Equal("55be3738f5e56fe4a9b7e86a2cf2e3e5abaf3c2dd4a93d9b51e43b3a3d8f05d1".Length, result.Sha256.Length);
        Assert.Equal(JobState.Succeeded, (await host.WaitForJobAsync(id, JobState.Succeeded)).State);
    }

    [Fact]
    public async Task Trainer_KilledTwice_GoesOnFromItsCheckpoint_EveryStepOnceWithTheSameLoss()
    {
        var folder = QueueHost.NewFolder();
        await using var host = await QueueHost.StartAsync(folder, new ScriptedTrainer(folder) { CrashAt = [7, 13] });
        var id = await host.StartRunAsync();
        var run = await host.WaitAsync(id, r => r.IsFinished);
        Assert.Equal(FineTuneRunState.Succeeded, run.State);
        await AssertStepsOnceAsync(host, id, 20);
        Assert.Equal(3, (await host.JobAsync(id)).Attempts);
    }

    [Fact]
    public async Task Trainer_ThatDiesThreeTimesWithoutProgress_IsGivenUpWithTheReason()
    {
        var folder = QueueHost.NewFolder();
        await using var host = await QueueHost.StartAsync(folder, new ScriptedTrainer(folder) { CrashAt = [7, 7, 7, 7] });
        var id = await host.StartRunAsync();
        var run = await host.WaitAsync(id, r => r.IsFinished);
        Assert.Equal(FineTuneRunState.Failed, run.State);
        Assert.Equal("trainer-crashed", run.Error!.Code);
        Assert.Contains("SIGKILL", run.Error.Message);
        Assert.Equal(JobState.Failed, (await host.WaitForJobAsync(id, JobState.Failed)).State);
        Assert.Single(File.ReadAllLines(Path.Combine(folder, "crashes")));

        // A person may try again; the fourth crash is a first one then, and the rest of the way is clear.
        (await host.Queue.ResumeAsync(host.Workspace, (await host.JobAsync(id)).Id, Cancelled)).OrThrow();
        Assert.Equal(FineTuneRunState.Succeeded, (await host.WaitAsync(id, r => r.IsFinished)).State);
        await AssertStepsOnceAsync(host, id, 20);
    }

    [Fact]
    public async Task Pause_SavesAndWaits_ResumeGoesOn()
    {
        var folder = QueueHost.NewFolder();
        await using var host = await QueueHost.StartAsync(folder, new ScriptedTrainer(folder) { HoldsAtStep = 3 });
        var id = await host.StartRunAsync();
        await host.WaitAsync(id, r => r.Step >= 3);
        var job = await host.JobAsync(id);
        (await host.Queue.PauseAsync(host.Workspace, job.Id, "by hand", Cancelled)).OrThrow();
        var paused = await host.WaitAsync(id, r => r.State == FineTuneRunState.Paused);
        Assert.Null(paused.RunToken);
        Assert.Equal(JobState.Paused, (await host.WaitForJobAsync(id, JobState.Paused)).State);
        (await host.Queue.ResumeAsync(host.Workspace, job.Id, Cancelled)).OrThrow();
        Assert.Equal(FineTuneRunState.Succeeded, (await host.WaitAsync(id, r => r.IsFinished)).State);
        await AssertStepsOnceAsync(host, id, 20);
    }

    [Fact]
    public async Task Cancel_EndsARunningAndAWaitingRun_OfTheOwnWorkspaceOnly()
    {
        var folder = QueueHost.NewFolder();
        await using var host = await QueueHost.StartAsync(folder, new ScriptedTrainer(folder) { HoldsAtStep = 1 });
        var first = await host.StartRunAsync("first");
        await host.WaitAsync(first, r => r.Step >= 1);
        var second = await host.StartRunAsync("second");
        Assert.Equal(FineTuneRunState.Queued, (await host.RunAsync(second)).State);      // one training at a time
        foreach (var id in new[] { second, first })
        {
            Assert.Equal("job-not-found", (await host.Queue.CancelAsync(WorkspaceId.New(), (await host.JobAsync(id)).Id, Cancelled)).Error?.Code);
            (await host.Queue.CancelAsync(host.Workspace, (await host.JobAsync(id)).Id, Cancelled)).OrThrow();
            await host.WaitAsync(id, r => r.State == FineTuneRunState.Cancelled);
            Assert.Equal(JobState.Cancelled, (await host.WaitForJobAsync(id, JobState.Cancelled)).State);
        }
    }

    [Fact]
    public async Task OrderlyStop_PausesWithACheckpoint_AndTheNextStartGoesOnByItself()
    {
        var folder = QueueHost.NewFolder();
        var trainer = new ScriptedTrainer(folder) { HoldsAtStep = 3 };
        FineTuneRunId id;
        await using (var host = await QueueHost.StartAsync(folder, trainer))
        {
            id = await host.StartRunAsync();
            await host.WaitAsync(id, r => r.Step >= 3);
        }
        var saved = int.Parse(File.ReadAllText(Path.Combine(folder, "runs", id.ToString(), "output", "checkpoint")), System.Globalization.CultureInfo.InvariantCulture);
        Assert.True(saved >= 3);
        await using var again = await QueueHost.StartAsync(folder, trainer);
        var run = await again.WaitAsync(id, r => r.IsFinished);
        Assert.Equal(FineTuneRunState.Succeeded, run.State);
        await AssertStepsOnceAsync(again, id, 20);
    }

    [Fact]
    public async Task LostQuartzFile_LosesNothing()
    {
        var folder = QueueHost.NewFolder();
        var trainer = new ScriptedTrainer(folder) { HoldsAtStep = 1 };
        FineTuneRunId id;
        await using (var host = await QueueHost.StartAsync(folder, trainer))
        {
            id = await host.StartRunAsync();
            await host.WaitAsync(id, r => r.Step >= 1);
        }
        Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
        foreach (var file in Directory.EnumerateFiles(folder, "queue.db*")) File.Delete(file);
        await using var again = await QueueHost.StartAsync(folder, trainer);
        Assert.Equal(FineTuneRunState.Succeeded, (await again.WaitAsync(id, r => r.IsFinished)).State);
    }

    [Fact]
    public async Task Failure_OfTheTrainer_IsTheRunsReasonWithItsRemedy()
    {
        var folder = QueueHost.NewFolder();
        await using var host = await QueueHost.StartAsync(folder, new ScriptedTrainer(folder) { Says = """failed ,"code":"loss-not-finite","message":"Loss_became_NaN","remedy":"lower_the_rate" """.TrimEnd() });
        var run = await host.WaitAsync(await host.StartRunAsync(), r => r.IsFinished);
        Assert.Equal(FineTuneRunState.Failed, run.State);
        Assert.Equal("loss-not-finite", run.Error!.Code);
        Assert.NotEmpty(run.Error.Remedy);
    }

    [Fact]
    public async Task WithoutLibtorch_TheRunFailsAtOnce_AndSaysWhatToInstall()
    {
        var folder = QueueHost.NewFolder();
        await using var host = await QueueHost.StartAsync(folder, new ScriptedTrainer(folder) { Missing = new Error("libtorch-missing", "m", "apt-get install libtorch-dev") });
        var run = await host.WaitAsync(await host.StartRunAsync(), r => r.IsFinished);
        Assert.Equal("libtorch-missing", run.Error!.Code);
    }

    [Fact]
    public async Task RunThatDoesNotFit_IsRefusedBeforeItStarts_WithWhatWouldFit()
    {
        var folder = QueueHost.NewFolder();
        var trainer = new ScriptedTrainer(folder);
        trainer = new ScriptedTrainer(folder) { Planned = trainer.Planned with { PeakMemoryBytes = 8L << 30, AvailableMemoryBytes = 4L << 30, Fits = false, Advice = [new("max_length", "2048", "512", "shorter")] } };
        await using var host = await QueueHost.StartAsync(folder, trainer);
        var run = await host.WaitAsync(await host.StartRunAsync(), r => r.IsFinished);
        Assert.Equal((FineTuneRunState.Failed, "memory-too-small"), (run.State, run.Error!.Code));
        Assert.Contains("8,192 MiB", run.Error.Message, StringComparison.Ordinal);
        Assert.Contains("max_length from 2048 to 512", run.Error.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ChangedModelFile_IsNotTrained()
    {
        var folder = QueueHost.NewFolder();
        await using var host = await QueueHost.StartAsync(folder, new ScriptedTrainer(folder));
        File.WriteAllText(Path.Combine(folder, "model.gguf"), "weightz");
        var run = await host.WaitAsync(await host.StartRunAsync(), r => r.IsFinished);
        Assert.Equal("model-changed", run.Error!.Code);
    }

    [Fact]
    public async Task StaleProcess_WritesNothingMore_AndIsEnded()
    {
        var folder = QueueHost.NewFolder();
        await using var host = await QueueHost.StartAsync(folder, new ScriptedTrainer(folder) { StepSeconds = 0.1, TotalSteps = 10_000 });
        var id = await host.StartRunAsync();
        await host.WaitAsync(id, r => r.Step >= 2);
        // Another node took the run meanwhile, as after a long pause of this one.
        await host.Database.WriteAsync(WorkspaceScope.All, async db =>
        {
            var run = (await db.FineTuneRuns.FindAsync(id))!;
            run.Interrupt(run.RunToken!, TimeProvider.System.GetUtcNow()).OrThrow();
            run.Start(TimeProvider.System.GetUtcNow()).OrThrow();
        }, Cancelled);
        var taken = await host.RunAsync(id);
        var before = (await host.EventsAsync(id)).Count;
        await Task.Delay(1000, Cancelled);
        Assert.Equal(before, (await host.EventsAsync(id)).Count);
        Assert.Equal(taken.RunToken, (await host.RunAsync(id)).RunToken);
    }

    private static async Task AssertStepsOnceAsync(QueueHost host, FineTuneRunId id, int total)
    {
        var steps = (await host.EventsAsync(id)).Where(e => e.Type == "step").ToList();
        Assert.Equal(Enumerable.Range(1, total), steps.Select(e => e.Step));
        Assert.All(steps, e => Assert.Contains($"\"loss\":{1000 - e.Step}", e.Json));
    }
}
