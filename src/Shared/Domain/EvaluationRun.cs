namespace TokenMill.Shared.Domain;

public enum EvaluationRunState { Queued, Running, Succeeded, Failed, Cancelled }

/// <summary>Base against tuned on the rows of a dataset version. Items are stored one by one; after a crash it goes on with the missing ones.</summary>
public sealed class EvaluationRun(
    EvaluationRunId id, WorkspaceId workspaceId, string name, DatasetVersionId datasetVersionId, ModelVersionId baseVersionId, ModelVersionId tunedVersionId,
    string optionsJson, UserId createdBy, DateTimeOffset createdAt) : IWorkspaceOwned
{
    public const int MaxAttempts = 3;

    public EvaluationRunId Id { get; private set; } = id;
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public string Name { get; private set; } = name;
    public DatasetVersionId DatasetVersionId { get; private set; } = datasetVersionId;
    public ModelVersionId BaseVersionId { get; private set; } = baseVersionId;
    public ModelVersionId TunedVersionId { get; private set; } = tunedVersionId;

    /// <summary>Which rows, which metrics, how long an answer may be; with a "version" field.</summary>
    public string OptionsJson { get; private set; } = optionsJson;
    public UserId CreatedBy { get; private set; } = createdBy;
    public DateTimeOffset CreatedAt { get; private set; } = createdAt;
    public DateTimeOffset? StartedAt { get; private set; }
    public DateTimeOffset? FinishedAt { get; private set; }
    public EvaluationRunState State { get; private set; }
    public bool CancelRequested { get; private set; }
    public int Attempts { get; private set; }
    public Error? Error { get; private set; }
    public int TotalItems { get; private set; }
    public int CompletedItems { get; private set; }

    /// <summary>Metric by metric: base, tuned, difference, interval.</summary>
    public string? SummaryJson { get; private set; }

    public bool IsFinished => State is EvaluationRunState.Succeeded or EvaluationRunState.Failed or EvaluationRunState.Cancelled;

    /// <summary>Begins, or goes on after its process died; what is done stays done.</summary>
    public Result Start(int totalItems, DateTimeOffset at)
    {
        if (IsFinished || CancelRequested) return Refusal("start");
        (State, TotalItems) = (EvaluationRunState.Running, totalItems);
        StartedAt ??= at;
        Attempts++;
        return Result.Ok;
    }

    public Result RecordProgress(int completedItems)
    {
        if (State != EvaluationRunState.Running) return Refusal("continue");
        if (completedItems > CompletedItems) Attempts = 1;
        CompletedItems = completedItems;
        return Result.Ok;
    }

    /// <summary>Its serving process died, or never answered: once more, or failed when its attempts are used up.</summary>
    public Result Lose(Error error, DateTimeOffset at)
    {
        if (CancelRequested) return Cancel(at);
        return Attempts >= MaxAttempts ? Fail(error, at) : Result.Ok;
    }

    /// <summary>The platform ended in order while it ran. Not its fault, so this start does not count.</summary>
    public Result Interrupt()
    {
        if (State == EvaluationRunState.Running) Attempts = Math.Max(0, Attempts - 1);
        return Result.Ok;
    }

    public Result Succeed(string summaryJson, DateTimeOffset at)
    {
        if (State != EvaluationRunState.Running || CancelRequested) return Refusal("finish");
        (State, SummaryJson, FinishedAt) = (EvaluationRunState.Succeeded, summaryJson, at);
        return Result.Ok;
    }

    public Result Fail(Error error, DateTimeOffset at)
    {
        if (IsFinished) return Refusal("fail");
        (State, Error, FinishedAt) = (EvaluationRunState.Failed, error, at);
        return Result.Ok;
    }

    /// <summary>At once in the queue, else after the item it is at: see <see cref="Cancel"/>.</summary>
    public Result RequestCancel(DateTimeOffset at)
    {
        if (State == EvaluationRunState.Queued) return Cancel(at);
        if (State != EvaluationRunState.Running) return Refusal("cancel");
        CancelRequested = true;
        return Result.Ok;
    }

    public Result Cancel(DateTimeOffset at)
    {
        if (IsFinished) return Refusal("cancel");
        (State, FinishedAt) = (EvaluationRunState.Cancelled, at);
        return Result.Ok;
    }

    private Error Refusal(string verb) => new($"cannot-{verb}-evaluation", $"{Name} is {State.ToString().ToLowerInvariant()}", "reload the page to see what is possible now");
}
