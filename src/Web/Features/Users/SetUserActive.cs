using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.Users;

/// <summary>Shuts a person out, or lets them in again. What they made stays.</summary>
public sealed class SetUserActive(PlatformDatabase database, TimeProvider time)
{
    public sealed record Command(UserId User, bool Active);

    public async Task<Result> HandleAsync(Actor actor, Command command, CancellationToken cancellationToken)
    {
        actor.Require(Role.Administrator);
        if (command.User == actor.UserId) return new Error("own-account", "You cannot deactivate yourself", "ask another administrator");
        return await database.TryWriteAsync(actor.WorkspaceId, async db =>
        {
            if (!await db.Memberships.AnyAsync(m => m.UserId == command.User, cancellationToken)) return WorkspacePeople.NotFound;
            if (!command.Active && await db.WhyNotWithoutAsync(command.User, cancellationToken) is { } error) return error;
            var now = time.GetUtcNow();
            var user = await db.Users.SingleAsync(u => u.Id == command.User, cancellationToken);
            user.DeactivatedAt = command.Active ? null : now;
            user.SecurityStamp = Guid.NewGuid().ToString("N");             // ends what they have open
            db.Add(new AuditEntry(actor.WorkspaceId, actor.UserId, command.Active ? "user-reactivated" : "user-deactivated", user.Email ?? "", now));
            return Result.Ok;
        }, cancellationToken);
    }
}
