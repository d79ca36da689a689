namespace TokenMill.Shared.Domain;

public enum JobKind { FineTune, Evaluation, DatasetImport, TokenStatistics }

public enum ExecutionGroup { Cpu, Gpu }

public enum JobState { Waiting, Running, Paused, Succeeded, Failed, Cancelled }

/// <summary>A place in the queue for work on some subject. The subject keeps its own state; the job says when and where it runs and why it waits.</summary>
public sealed class Job(JobId id, WorkspaceId workspaceId, JobKind kind, Guid subjectId, string title, ExecutionGroup executionGroup, UserId createdBy, DateTimeOffset createdAt) : IWorkspaceOwned
{
    public JobId Id { get; private set; } = id;
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public JobKind Kind { get; private set; } = kind;

    /// <summary>The run, version … that the job works on.</summary>
    public Guid SubjectId { get; private set; } = subjectId;
    public string Title { get; private set; } = title;
    public ExecutionGroup ExecutionGroup { get; private set; } = executionGroup;
    public UserId CreatedBy { get; private set; } = createdBy;
    public DateTimeOffset CreatedAt { get; private set; } = createdAt;
    public DateTimeOffset? StartedAt { get; private set; }
    public DateTimeOffset? FinishedAt { get; private set; }
    public JobState State { get; private set; }

    /// <summary>Higher goes first; equal ones in the order of their making.</summary>
    public int Priority { get; private set; }

    /// <summary>Why it waits, in one sentence.</summary>
    public string WaitingReason { get; private set; } = "";
    public int Attempts { get; private set; }
    public Error? Error { get; private set; }

    public bool IsFinished => State is JobState.Succeeded or JobState.Failed or JobState.Cancelled;

    public void Explain(string reason) => WaitingReason = reason;

    public void Prioritise(int priority) => Priority = priority;

    public Result Start(DateTimeOffset at)
    {
        if (State != JobState.Waiting) return Refusal("start");
        (State, WaitingReason, Error) = (JobState.Running, "", null);
        StartedAt ??= at;
        Attempts++;
        return Result.Ok;
    }

    /// <summary>Back in the queue: its process died, or it was resumed.</summary>
    public Result Requeue(string reason)
    {
        if (State is not (JobState.Running or JobState.Paused or JobState.Failed)) return Refusal("requeue");
        (State, WaitingReason, FinishedAt) = (JobState.Waiting, reason, null);
        return Result.Ok;
    }

    public Result Pause(string reason)
    {
        if (IsFinished) return Refusal("pause");
        (State, WaitingReason) = (JobState.Paused, reason);
        return Result.Ok;
    }

    public Result Succeed(DateTimeOffset at) => Finish(JobState.Succeeded, null, at);

    public Result Fail(Error error, DateTimeOffset at) => Finish(JobState.Failed, error, at);

    public Result Cancel(DateTimeOffset at) => Finish(JobState.Cancelled, null, at);

    private Result Finish(JobState state, Error? error, DateTimeOffset at)
    {
        if (IsFinished) return Refusal("finish");
        (State, Error, FinishedAt, WaitingReason) = (state, error, at, "");
        return Result.Ok;
    }

    private Error Refusal(string verb) => new($"cannot-{verb}-job", $"The job is {State.ToString().ToLowerInvariant()}", "reload the page to see what is possible now");
}
