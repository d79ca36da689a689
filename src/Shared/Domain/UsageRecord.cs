namespace TokenMill.Shared.Domain;

public enum UsageState { Reserved, Settled, Interrupted }

/// <summary>
/// What one request used. Reserved before the first token, settled exactly once when it ends however it ends; the request id is
/// the key, so that nothing is counted twice. Interrupted: the platform died while it ran, and what it used is not known.
/// </summary>
public sealed class UsageRecord(string requestId, WorkspaceId workspaceId, DeploymentId deploymentId, ApiKeyId? apiKeyId, UserId? userId, DateTimeOffset startedAt) : IWorkspaceOwned
{
    public string RequestId { get; private set; } = requestId;
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public DeploymentId DeploymentId { get; private set; } = deploymentId;
    public ApiKeyId? ApiKeyId { get; private set; } = apiKeyId;
    public UserId? UserId { get; private set; } = userId;
    public DateTimeOffset StartedAt { get; private set; } = startedAt;
    public DateTimeOffset? FinishedAt { get; private set; }
    public UsageState State { get; private set; }
    public int PromptTokens { get; private set; }
    public int CachedTokens { get; private set; }
    public int CompletionTokens { get; private set; }

    public Result Settle(int promptTokens, int cachedTokens, int completionTokens, DateTimeOffset at)
    {
        if (State != UsageState.Reserved) return new Error("usage-settled", $"Request {RequestId} is already counted", "nothing to do");
        (State, PromptTokens, CachedTokens, CompletionTokens, FinishedAt) = (UsageState.Settled, promptTokens, cachedTokens, completionTokens, at);
        return Result.Ok;
    }

    public void Interrupt(DateTimeOffset at)
    {
        if (State == UsageState.Reserved) (State, FinishedAt) = (UsageState.Interrupted, at);
    }
}
