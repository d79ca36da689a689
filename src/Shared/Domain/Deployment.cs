namespace TokenMill.Shared.Domain;

public enum DesiredState { Running, Stopped }

public enum DeploymentState { Pending, Checking, Loading, Parity, Ready, Failed, Stopped }

/// <summary>
/// A model version kept answering under a name. A person sets <see cref="DesiredState"/>; the supervisor makes it true and says
/// where it is in <see cref="State"/>: Pending → Checking → Loading → Parity → Ready, Failed with the reason, Stopped when wanted.
/// </summary>
public sealed class Deployment(DeploymentId id, WorkspaceId workspaceId, string name, ModelVersionId modelVersionId, string optionsJson, UserId createdBy, DateTimeOffset createdAt) : IWorkspaceOwned
{
    public const int MaxAttempts = 5;

    public DeploymentId Id { get; private set; } = id;
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;

    /// <summary>Unique in the workspace; the "model" of API requests.</summary>
    public string Name { get; private set; } = name;
    public ModelVersionId ModelVersionId { get; private set; } = modelVersionId;

    /// <summary>Context, parallel streams, threads; with a "version" field.</summary>
    public string OptionsJson { get; private set; } = optionsJson;
    public UserId CreatedBy { get; private set; } = createdBy;
    public DateTimeOffset CreatedAt { get; private set; } = createdAt;
    public DesiredState DesiredState { get; private set; }
    public DeploymentState State { get; private set; }

    /// <summary>Why it is in this state, in one sentence.</summary>
    public string StateReason { get; private set; } = "";
    public DateTimeOffset StateSince { get; private set; } = createdAt;

    /// <summary>Starts since it was last ready.</summary>
    public int Attempts { get; private set; }
    public Error? Error { get; private set; }
    public string? ParityJson { get; private set; }
    public double? LoadSeconds { get; private set; }
    public DateTimeOffset? DeletedAt { get; private set; }

    public void Start(DateTimeOffset at)
    {
        (DesiredState, Attempts, Error) = (DesiredState.Running, 0, null);
        Enter(DeploymentState.Pending, "", at);
    }

    /// <summary>In force from the next start of its process.</summary>
    public void ChangeOptions(string optionsJson) => OptionsJson = optionsJson;

    public void Stop() => DesiredState = DesiredState.Stopped;

    public void Delete(DateTimeOffset at)
    {
        DesiredState = DesiredState.Stopped;
        DeletedAt ??= at;
    }

    /// <summary>The supervisor begins another try at making it ready.</summary>
    public Result BeginAttempt(DateTimeOffset at)
    {
        if (DesiredState != DesiredState.Running || DeletedAt is not null) return new Error("deployment-stopped", $"{Name} is stopped", "start it first");
        if (Attempts >= MaxAttempts) return new Error("too-many-attempts", $"{Name} ended {Attempts} times in a row", "look at the last reason, correct it and start it again");
        Attempts++;
        Enter(DeploymentState.Checking, "", at);
        return Result.Ok;
    }

    public void Load(DateTimeOffset at) => Enter(DeploymentState.Loading, "", at);

    public void CheckParity(double loadSeconds, DateTimeOffset at)
    {
        LoadSeconds = loadSeconds;
        Enter(DeploymentState.Parity, "", at);
    }

    /// <summary>It answers. <paramref name="parityJson"/>: what the comparison with the trainer found, or why there was none.</summary>
    public void BecomeReady(double loadSeconds, string? parityJson, DateTimeOffset at)
    {
        (LoadSeconds, ParityJson, Attempts, Error) = (loadSeconds, parityJson ?? ParityJson, 0, null);
        Enter(DeploymentState.Ready, "", at);
    }

    /// <summary>Its process ended though it should run; the supervisor tries again after a pause.</summary>
    public void Lose(string reason, DateTimeOffset at) => Enter(DeploymentState.Pending, reason, at);

    public void Fail(Error error, string? parityJson, DateTimeOffset at)
    {
        (Error, ParityJson) = (error, parityJson ?? ParityJson);
        Enter(DeploymentState.Failed, error.Message, at);
    }

    public void BecomeStopped(DateTimeOffset at) => Enter(DeploymentState.Stopped, "", at);

    private void Enter(DeploymentState state, string reason, DateTimeOffset at) => (State, StateReason, StateSince) = (state, reason, at);
}
