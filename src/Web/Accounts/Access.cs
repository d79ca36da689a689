using System.Security.Claims;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Accounts;

/// <summary>Says what a signed-in person may do now. For endpoints and hubs, which have a principal; components use <see cref="CurrentUser"/>.</summary>
public sealed class Access(PlatformDatabase database)
{
    /// <summary>Null: not signed in, deactivated, in no workspace, or with a password that must be changed first.</summary>
    public async Task<Actor?> FindAsync(ClaimsPrincipal principal, CancellationToken cancellationToken)
    {
        if (principal.UserId() is not { } id) return null;
        await using var db = database.Open(WorkspaceScope.All);
        var memberships =
            from user in db.Users
            join membership in db.Memberships on user.Id equals membership.UserId
            join workspace in db.Workspaces on membership.WorkspaceId equals workspace.Id
            where user.Id == id && user.DeactivatedAt == null && !user.MustChangePassword && membership.WorkspaceId == user.WorkspaceId
            select new Actor(id, workspace.Id, workspace.Name, membership.Role, user.DisplayName);
        return await memberships.AsNoTracking().SingleOrDefaultAsync(cancellationToken);
    }

    /// <summary>The person, if they have at least this role; else a <see cref="RefusedException"/>.</summary>
    public async Task<Actor> RequireAsync(ClaimsPrincipal principal, Role minimum, CancellationToken cancellationToken)
    {
        var actor = await FindAsync(principal, cancellationToken) ?? throw new RefusedException("not-signed-in", "You are not signed in, or no longer in this workspace", "sign in again");
        actor.Require(minimum);
        return actor;
    }
}

public static class PrincipalExtensions
{
    public static UserId? UserId(this ClaimsPrincipal principal) =>
        principal.Identity?.IsAuthenticated == true && Guid.TryParse(principal.FindFirstValue(ClaimTypes.NameIdentifier), out var id) ? new UserId(id) : null;
}
