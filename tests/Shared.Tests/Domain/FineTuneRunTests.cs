using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Tests.Domain;

/// <summary>The life of a run: what may follow what, and that only the process with the newest token is heard.</summary>
public sealed class FineTuneRunTests
{
    private static readonly DateTimeOffset Noon = new(2026, 11, 25, 12, 0, 0, TimeSpan.Zero);
    private static readonly Error Died = new("trainer-died", "The trainer ended with code 137", "it starts again by itself");

    private static FineTuneRun Queued() => new(FineTuneRunId.New(), WorkspaceId.New(), "support", 1, DatasetVersionId.New(), ModelVersionId.New(), "{}", UserId.New(), Noon);

    private static (FineTuneRun Run, string Token) Running()
    {
        var run = Queued();
        var token = run.Start(Noon).OrThrow();
        run.Run(token, 100).OrThrow();
        return (run, token);
    }

    [Fact]
    public void Restart_HandsOutANewToken_AndTheOldProcessIsRefused()
    {
        var (run, old) = Running();
        run.RecordStep(old, 10, 2, 100, 60).OrThrow();
        run.Lose(old, Died, Noon).OrThrow();
        Assert.Equal(FineTuneRunState.Queued, run.State);
        var token = run.Start(Noon).OrThrow();
        run.Run(token, 100).OrThrow();

        Result[] late =
        [
            run.Run(old, 5), run.RecordStep(old, 11, 1, 1, 1), run.RecordValidation(old, 1), run.RecordCheckpoint(old), run.Pause(old), run.Cancel(old, Noon),
            run.Fail(old, Died, Noon), run.Lose(old, Died, Noon), run.Succeed(old, ModelVersionId.New(), Noon),
        ];

        Assert.All(late, result => Assert.Equal("stale-run-token", result.Error?.Code));
        Assert.Equal((FineTuneRunState.Running, 10, 100), (run.State, run.Step, run.TotalSteps));
        Assert.NotEqual(old, token);
    }

    [Fact]
    public void CrashesInARow_EndInFailure_ButACheckpointGivesANewChance()
    {
        var run = Queued();
        for (var attempt = 1; attempt <= 10; attempt++)
        {
            var token = run.Start(Noon).OrThrow();
            run.Run(token, 100).OrThrow();
            run.RecordCheckpoint(token).OrThrow();
            run.Lose(token, Died, Noon).OrThrow();
            Assert.Equal(FineTuneRunState.Queued, run.State);
        }
        while (run.State == FineTuneRunState.Queued) run.Lose(run.Start(Noon).OrThrow(), Died, Noon).OrThrow();

        Assert.Equal((FineTuneRunState.Failed, "trainer-died"), (run.State, run.Error?.Code));
        Assert.True(run.Attempts <= FineTuneRun.MaxAttempts);
        Assert.NotNull(run.FinishedAt);
    }

    [Fact]
    public void PauseAndCancel_AreRequestsWhileAProcessRuns_AndImmediateElsewhere()
    {
        var waiting = Queued();
        waiting.RequestPause().OrThrow();
        Assert.Equal(FineTuneRunState.Paused, waiting.State);
        waiting.Resume().OrThrow();
        waiting.RequestCancel(Noon).OrThrow();
        Assert.Equal(FineTuneRunState.Cancelled, waiting.State);

        var (run, token) = Running();
        run.RequestPause().OrThrow();
        Assert.Equal((FineTuneRunState.Running, RunRequest.Pause), (run.State, run.Request));
        run.RequestCancel(Noon).OrThrow();
        Assert.False(run.RequestPause().IsOk);                   // a cancellation is not taken back
        run.Lose(token, Died, Noon).OrThrow();                   // it died on the way: cancelled is what was wanted
        Assert.Equal(FineTuneRunState.Cancelled, run.State);
    }

    [Fact]
    public void FinishedRun_ChangesNoMore()
    {
        var (run, token) = Running();
        run.Succeed(token, ModelVersionId.New(), Noon).OrThrow();

        Assert.All([run.RequestPause(), run.RequestCancel(Noon), run.Resume(), run.RecordStep(token, 99, 0, 0, 0), run.Fail(token, Died, Noon)], r => Assert.False(r.IsOk));
        Assert.False(run.Start(Noon).IsOk);
        Assert.Equal((FineTuneRunState.Succeeded, null, null), (run.State, run.RunToken, run.RemainingSeconds));
    }
}
