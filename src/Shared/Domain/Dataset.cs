namespace TokenMill.Shared.Domain;

/// <summary>A named collection of rows; what it holds are its <see cref="DatasetVersion"/>s.</summary>
public sealed class Dataset(DatasetId id, WorkspaceId workspaceId, string name, UserId createdBy, DateTimeOffset createdAt) : IWorkspaceOwned
{
    public DatasetId Id { get; private set; } = id;
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public string Name { get; private set; } = name;
    public UserId CreatedBy { get; private set; } = createdBy;
    public DateTimeOffset CreatedAt { get; private set; } = createdAt;

    /// <summary>A deleted dataset leaves the lists but stays in the lineage of what was made from it.</summary>
    public DateTimeOffset? DeletedAt { get; private set; }

    public Result Rename(string name)
    {
        if (Naming.Check(name) is { } error) return error;
        Name = name.Trim();
        return Result.Ok;
    }

    public void Delete(DateTimeOffset at) => DeletedAt ??= at;
}
