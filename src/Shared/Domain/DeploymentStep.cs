namespace TokenMill.Shared.Domain;

public enum DeploymentStepState { Running, Done, Failed, Skipped }

/// <summary>One line of a deployment's log: what was done, how it ended and why. Only added to.</summary>
public sealed class DeploymentStep(WorkspaceId workspaceId, DeploymentId deploymentId, string step, DeploymentStepState state, string reason, DateTimeOffset at) : IWorkspaceOwned
{
    /// <summary>Given by the database, in order.</summary>
    public long Id { get; private set; }
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public DeploymentId DeploymentId { get; private set; } = deploymentId;

    /// <summary>check, load, parity, ready …</summary>
    public string Step { get; private set; } = step;
    public DeploymentStepState State { get; private set; } = state;
    public string Reason { get; private set; } = reason;
    public DateTimeOffset At { get; private set; } = at;
}
