using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Persistence;

/// <summary>
/// What a context may see: one workspace (pages, the API), or all of them (the queue, supervisors, sign-in).
/// The default sees nothing.
/// </summary>
public readonly record struct WorkspaceScope
{
    public static WorkspaceScope All { get; } = new() { SeesAll = true };

    public WorkspaceId Id { get; private init; }
    public bool SeesAll { get; private init; }

    public static implicit operator WorkspaceScope(WorkspaceId id) => new() { Id = id };
}
