namespace TokenMill.Shared.Domain;

/// <summary>The border that data does not cross: everything a team makes belongs to one workspace.</summary>
public sealed class Workspace(WorkspaceId id, string name, DateTimeOffset createdAt)
{
    public WorkspaceId Id { get; private set; } = id;
    public string Name { get; private set; } = name;
    public DateTimeOffset CreatedAt { get; private set; } = createdAt;

    public Result Rename(string name)
    {
        if (Naming.Check(name) is { } error) return error;
        Name = name.Trim();
        return Result.Ok;
    }
}

/// <summary>Belongs to one workspace: read through the workspace filter, and written only inside its own workspace.</summary>
public interface IWorkspaceOwned
{
    WorkspaceId WorkspaceId { get; }
}
