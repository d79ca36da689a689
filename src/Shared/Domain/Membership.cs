namespace TokenMill.Shared.Domain;

/// <summary>In rising order of rights: a viewer looks, a member makes things, an administrator also manages people, queue and keys.</summary>
public enum Role { Viewer, Member, Administrator }

/// <summary>A person's rights in one workspace.</summary>
public sealed class Membership(WorkspaceId workspaceId, UserId userId, Role role, DateTimeOffset createdAt) : IWorkspaceOwned
{
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public UserId UserId { get; private set; } = userId;
    public Role Role { get; private set; } = role;
    public DateTimeOffset CreatedAt { get; private set; } = createdAt;

    public void ChangeRole(Role role) => Role = role;
}
