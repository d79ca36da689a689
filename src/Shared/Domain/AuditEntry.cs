namespace TokenMill.Shared.Domain;

/// <summary>Who did what, when. Only added to; holds ids and names, never contents or secrets.</summary>
public sealed class AuditEntry(WorkspaceId workspaceId, UserId? userId, string action, string subject, DateTimeOffset at) : IWorkspaceOwned
{
    /// <summary>Given by the database, in order.</summary>
    public long Id { get; private set; }
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;

    /// <summary>Null: the platform itself.</summary>
    public UserId? UserId { get; private set; } = userId;

    /// <summary>Kebab-case, such as api-key-created.</summary>
    public string Action { get; private set; } = action;
    public string Subject { get; private set; } = subject;
    public DateTimeOffset At { get; private set; } = at;
}
