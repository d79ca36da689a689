using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Tests.Domain;

public sealed class EvaluationRunTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch;
    private static readonly Error Crash = new("serving-crashed", "it died", "start it again");

    private readonly EvaluationRun _run = new(EvaluationRunId.New(), WorkspaceId.New(), "run", DatasetVersionId.New(), ModelVersionId.New(), ModelVersionId.New(), "{}", UserId.New(), Now);

    [Fact]
    public void EngineThatKeepsDying_EndsTheRun_ButProgressIsANewChance()
    {
        for (var i = 1; i < EvaluationRun.MaxAttempts; i++) Die();
        Assert.Equal(EvaluationRunState.Running, _run.State);
        _run.Start(10, Now).OrThrow();
        _run.RecordProgress(1).OrThrow();
        _run.Lose(Crash, Now).OrThrow();
        Assert.Equal(EvaluationRunState.Running, _run.State);
        for (var i = 1; i < EvaluationRun.MaxAttempts; i++) Die();
        Assert.Equal((EvaluationRunState.Failed, Crash), (_run.State, _run.Error));
    }

    [Fact]
    public void PortalThatStops_CostsNoAttempt()
    {
        for (var i = 0; i < 10; i++)
        {
            _run.Start(10, Now).OrThrow();
            _run.Interrupt().OrThrow();
        }
        Die();
        Assert.Equal(EvaluationRunState.Running, _run.State);
    }

    [Fact]
    public void CancelledRun_NeitherSucceedsNorGoesOn()
    {
        _run.Start(10, Now).OrThrow();
        _run.RequestCancel(Now).OrThrow();
        Assert.False(_run.Succeed("{}", Now).IsOk);
        Assert.False(_run.Start(10, Now).IsOk);
        _run.Lose(Crash, Now).OrThrow();
        Assert.Equal(EvaluationRunState.Cancelled, _run.State);
    }

    private void Die()
    {
        _run.Start(10, Now).OrThrow();
        _run.Lose(Crash, Now).OrThrow();
    }
}
