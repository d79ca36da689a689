namespace TokenMill.Shared.Domain;

public enum FineTuneRunState { Queued, Starting, Running, Paused, Succeeded, Failed, Cancelled }

/// <summary>What a person asked of a run that is under way; the trainer saves its state before it obeys.</summary>
public enum RunRequest { None, Pause, Cancel }

/// <summary>
/// One fine-tune: Queued → Starting → Running → Paused | Succeeded | Failed | Cancelled; Paused and Failed → Queued again.
/// A run whose process died goes back to Queued until its attempts are used up. Each start hands out a new
/// <see cref="RunToken"/>; what an earlier process says is refused.
/// </summary>
public sealed class FineTuneRun(
    FineTuneRunId id, WorkspaceId workspaceId, string name, int number, DatasetVersionId datasetVersionId, ModelVersionId baseVersionId,
    string specJson, UserId createdBy, DateTimeOffset createdAt) : IWorkspaceOwned
{
    public const int MaxAttempts = 3;

    public FineTuneRunId Id { get; private set; } = id;
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public string Name { get; private set; } = name;

    /// <summary>1, 2, 3 … within the workspace; shown as #12.</summary>
    public int Number { get; private set; } = number;
    public DatasetVersionId DatasetVersionId { get; private set; } = datasetVersionId;
    public ModelVersionId BaseVersionId { get; private set; } = baseVersionId;

    /// <summary>The SPEC.json the trainer is given.</summary>
    public string SpecJson { get; private set; } = specJson;
    public UserId CreatedBy { get; private set; } = createdBy;
    public DateTimeOffset CreatedAt { get; private set; } = createdAt;
    public DateTimeOffset? StartedAt { get; private set; }
    public DateTimeOffset? FinishedAt { get; private set; }
    public FineTuneRunState State { get; private set; }
    public RunRequest Request { get; private set; }

    /// <summary>Fencing token of the process that may write now; null while none may.</summary>
    public string? RunToken { get; private set; }

    /// <summary>Starts since the last progress; a run that dies this often without a checkpoint in between has failed.</summary>
    public int Attempts { get; private set; }
    public Error? Error { get; private set; }
    public ModelVersionId? ResultVersionId { get; private set; }

    /// <summary>Snapshot of the last step, for lists; every step is a <see cref="RunEvent"/>.</summary>
    public int Step { get; private set; }
    public int TotalSteps { get; private set; }
    public double? Loss { get; private set; }
    public double? ValidationLoss { get; private set; }
    public double? TokensPerSecond { get; private set; }
    public double? RemainingSeconds { get; private set; }

    /// <summary>Starting, Running: a process is at it.</summary>
    public bool IsActive => State is FineTuneRunState.Starting or FineTuneRunState.Running;

    public bool IsFinished => State is FineTuneRunState.Succeeded or FineTuneRunState.Failed or FineTuneRunState.Cancelled;

    /// <summary>A process is about to be started; its token goes with it.</summary>
    public Result<string> Start(DateTimeOffset at)
    {
        if (State != FineTuneRunState.Queued) return Refusal("start");
        RunToken = Guid.NewGuid().ToString("N");
        (State, Error) = (FineTuneRunState.Starting, null);
        StartedAt ??= at;
        Attempts++;
        return RunToken;
    }

    /// <summary>The trainer says that it trains.</summary>
    public Result Run(string token, int totalSteps)
    {
        if (Stale(token) is { } stale) return stale;
        (State, TotalSteps) = (FineTuneRunState.Running, totalSteps);
        return Result.Ok;
    }

    public Result RecordStep(string token, int step, double loss, double tokensPerSecond, double remainingSeconds)
    {
        if (Stale(token) is { } stale) return stale;
        (Step, Loss, TokensPerSecond, RemainingSeconds) = (step, loss, tokensPerSecond, remainingSeconds);
        return Result.Ok;
    }

    public Result RecordValidation(string token, double loss)
    {
        if (Stale(token) is { } stale) return stale;
        ValidationLoss = loss;
        return Result.Ok;
    }

    /// <summary>May this process still write for the run?</summary>
    public Result Accept(string token) => Stale(token) is { } stale ? stale : Result.Ok;

    /// <summary>A checkpoint is on disk: what comes after it is a new chance.</summary>
    public Result RecordCheckpoint(string token)
    {
        if (Stale(token) is { } stale) return stale;
        Attempts = 1;
        return Result.Ok;
    }

    public Result Succeed(string token, ModelVersionId result, DateTimeOffset at)
    {
        if (Stale(token) is { } stale) return stale;
        ResultVersionId = result;
        Finish(FineTuneRunState.Succeeded, at);
        return Result.Ok;
    }

    /// <summary>The trainer refused or gave up: trying again would end the same way.</summary>
    public Result Fail(string token, Error error, DateTimeOffset at)
    {
        if (Stale(token) is { } stale) return stale;
        Error = error;
        Finish(FineTuneRunState.Failed, at);
        return Result.Ok;
    }

    /// <summary>The process died without a word: back to the queue, or failed when its attempts are used up.</summary>
    public Result Lose(string token, Error error, DateTimeOffset at)
    {
        if (Stale(token) is { } stale) return stale;
        Error = error;
        RunToken = null;
        if (Request == RunRequest.Cancel) Finish(FineTuneRunState.Cancelled, at);
        else if (Attempts >= MaxAttempts) Finish(FineTuneRunState.Failed, at);
        else if (Request == RunRequest.Pause) (State, Request) = (FineTuneRunState.Paused, RunRequest.None);
        else State = FineTuneRunState.Queued;
        return Result.Ok;
    }

    /// <summary>The platform ended, in order or not, while a process was at it. Not the run's fault, so this start does not count.</summary>
    public Result Interrupt(string token, DateTimeOffset at)
    {
        if (Stale(token) is { } stale) return stale;
        (RunToken, Attempts, RemainingSeconds) = (null, Math.Max(0, Attempts - 1), null);
        if (Request == RunRequest.Cancel) Finish(FineTuneRunState.Cancelled, at);
        else if (Request == RunRequest.Pause) (State, Request) = (FineTuneRunState.Paused, RunRequest.None);
        else State = FineTuneRunState.Queued;
        return Result.Ok;
    }

    /// <summary>The trainer has saved its state and ended.</summary>
    public Result Pause(string token)
    {
        if (Stale(token) is { } stale) return stale;
        (State, RunToken, Request, RemainingSeconds, Attempts) = (FineTuneRunState.Paused, null, RunRequest.None, null, 0);
        return Result.Ok;
    }

    /// <summary>The trainer has ended on request.</summary>
    public Result Cancel(string token, DateTimeOffset at)
    {
        if (Stale(token) is { } stale) return stale;
        Finish(FineTuneRunState.Cancelled, at);
        return Result.Ok;
    }

    /// <summary>A person wants it paused: at once in the queue, else when the trainer has saved.</summary>
    public Result RequestPause()
    {
        if (State == FineTuneRunState.Queued) State = FineTuneRunState.Paused;
        else if (IsActive && Request != RunRequest.Cancel) Request = RunRequest.Pause;
        else return Refusal("pause");
        return Result.Ok;
    }

    /// <summary>On from the last checkpoint: after a pause, or once more after a failure.</summary>
    public Result Resume()
    {
        if (State is not (FineTuneRunState.Paused or FineTuneRunState.Failed)) return Refusal("resume");
        (State, Request, Attempts, Error, FinishedAt) = (FineTuneRunState.Queued, RunRequest.None, 0, null, null);
        return Result.Ok;
    }

    /// <summary>A person wants it to end: at once where no process is at it, else when the trainer has ended.</summary>
    public Result RequestCancel(DateTimeOffset at)
    {
        if (State is FineTuneRunState.Queued or FineTuneRunState.Paused) Finish(FineTuneRunState.Cancelled, at);
        else if (IsActive) Request = RunRequest.Cancel;
        else return Refusal("cancel");
        return Result.Ok;
    }

    private void Finish(FineTuneRunState state, DateTimeOffset at) =>
        (State, FinishedAt, RunToken, Request, RemainingSeconds) = (state, at, null, RunRequest.None, null);

    private Error? Stale(string token) => IsActive && token == RunToken
        ? null
        : new Error("stale-run-token", "This process no longer writes for the run", "it should end; the run belongs to a later process");

    private Error Refusal(string verb) => new($"cannot-{verb}-run", $"#{Number} is {State.ToString().ToLowerInvariant()}", "reload the page to see what is possible now");
}
