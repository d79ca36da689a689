using TokenMill.Shared.Domain;

namespace TokenMill.Web.Accounts;

/// <summary>
/// Who acts, in which workspace, with which rights at this moment: read from the database for each action, so that a changed role
/// counts at once. Use cases take one; only <see cref="Access"/> makes them.
/// </summary>
public sealed record Actor(UserId UserId, WorkspaceId WorkspaceId, string WorkspaceName, Role Role, string Name)
{
    public bool May(Role minimum) => Role >= minimum;

    public void Require(Role minimum)
    {
        if (!May(minimum)) throw new RefusedException("not-allowed", $"This needs the role of {minimum.ToString().ToLowerInvariant()}; yours is {Role.ToString().ToLowerInvariant()}", "ask an administrator of the workspace");
    }
}
