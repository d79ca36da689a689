namespace TokenMill.Shared.Domain;

/// <summary>A person's talk with a deployment; its turns are <see cref="Generation"/>s.</summary>
public sealed class Conversation(ConversationId id, WorkspaceId workspaceId, UserId userId, DeploymentId deploymentId, string title, DateTimeOffset createdAt) : IWorkspaceOwned
{
    public ConversationId Id { get; private set; } = id;
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public UserId UserId { get; private set; } = userId;
    public DeploymentId DeploymentId { get; private set; } = deploymentId;
    public string Title { get; private set; } = title;
    public string? SystemPrompt { get; private set; }
    public DateTimeOffset CreatedAt { get; private set; } = createdAt;
    public DateTimeOffset UpdatedAt { get; private set; } = createdAt;

    public void Retitle(string title) => Title = title.Length <= Naming.MaxLength ? title : title[..(Naming.MaxLength - 1)] + "…";

    public void Instruct(string? systemPrompt) => SystemPrompt = string.IsNullOrWhiteSpace(systemPrompt) ? null : systemPrompt;

    public void Talk(DeploymentId deploymentId, DateTimeOffset at) => (DeploymentId, UpdatedAt) = (deploymentId, at);
}
