namespace TokenMill.Shared.Domain;

public enum GenerationState { Waiting, Streaming, Completed, Stopped, Failed }

/// <summary>One answer: it lives on the server, so that a browser that comes back finds what was said meanwhile.</summary>
public sealed class Generation(
    GenerationId id, WorkspaceId workspaceId, ConversationId conversationId, DeploymentId deploymentId, UserId userId,
    string messagesJson, string parametersJson, DateTimeOffset createdAt) : IWorkspaceOwned
{
    public GenerationId Id { get; private set; } = id;
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public ConversationId ConversationId { get; private set; } = conversationId;
    public DeploymentId DeploymentId { get; private set; } = deploymentId;
    public UserId UserId { get; private set; } = userId;

    /// <summary>Everything said before, as sent to the model.</summary>
    public string MessagesJson { get; private set; } = messagesJson;
    public string ParametersJson { get; private set; } = parametersJson;
    public DateTimeOffset CreatedAt { get; private set; } = createdAt;
    public DateTimeOffset? FinishedAt { get; private set; }
    public GenerationState State { get; private set; }
    public string Text { get; private set; } = "";
    public string? FinishReason { get; private set; }
    public Error? Error { get; private set; }
    public int PromptTokens { get; private set; }
    public int CachedTokens { get; private set; }
    public int CompletionTokens { get; private set; }
    public double? FirstTokenMs { get; private set; }
    public double? PerTokenMs { get; private set; }

    public bool IsFinished => State is GenerationState.Completed or GenerationState.Stopped or GenerationState.Failed;

    /// <summary>The text so far, saved now and then while it streams.</summary>
    public Result Save(string text)
    {
        if (IsFinished) return Refusal();
        (State, Text) = (GenerationState.Streaming, text);
        return Result.Ok;
    }

    public Result Complete(string text, string finishReason, DateTimeOffset at) => Finish(GenerationState.Completed, text, finishReason, at);

    public Result Stop(string text, DateTimeOffset at) => Finish(GenerationState.Stopped, text, "stopped", at);

    public Result Fail(string text, Error error, DateTimeOffset at)
    {
        var result = Finish(GenerationState.Failed, text, "error", at);
        if (result.IsOk) Error = error;
        return result;
    }

    public void Measure(int promptTokens, int cachedTokens, int completionTokens, double? firstTokenMs, double? perTokenMs) =>
        (PromptTokens, CachedTokens, CompletionTokens, FirstTokenMs, PerTokenMs) = (promptTokens, cachedTokens, completionTokens, firstTokenMs, perTokenMs);

    private Result Finish(GenerationState state, string text, string finishReason, DateTimeOffset at)
    {
        if (IsFinished) return Refusal();
        (State, Text, FinishReason, FinishedAt) = (state, text, finishReason, at);
        return Result.Ok;
    }

    private Error Refusal() => new("generation-finished", $"The answer is {State.ToString().ToLowerInvariant()}", "ask again for a new one");
}
