namespace TokenMill.Shared.Domain;

/// <summary>A named model; its weights are in its <see cref="ModelVersion"/>s.</summary>
public sealed class Model(ModelId id, WorkspaceId workspaceId, string name, bool isStarter, UserId? createdBy, DateTimeOffset createdAt) : IWorkspaceOwned
{
    public ModelId Id { get; private set; } = id;
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public string Name { get; private set; } = name;

    /// <summary>The built-in model, there from the first start.</summary>
    public bool IsStarter { get; private set; } = isStarter;

    /// <summary>Null: the platform itself.</summary>
    public UserId? CreatedBy { get; private set; } = createdBy;
    public DateTimeOffset CreatedAt { get; private set; } = createdAt;

    /// <summary>A deleted model leaves the lists but stays in the lineage of what was made from it.</summary>
    public DateTimeOffset? DeletedAt { get; private set; }

    public Result Rename(string name)
    {
        if (Naming.Check(name) is { } error) return error;
        Name = name.Trim();
        return Result.Ok;
    }

    public Result Delete(DateTimeOffset at)
    {
        if (IsStarter) return new Error("starter-model", "The starter model belongs to the platform", "it stays, so that everything works offline");
        DeletedAt ??= at;
        return Result.Ok;
    }
}
