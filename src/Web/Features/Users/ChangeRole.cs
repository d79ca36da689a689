using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.Users;

/// <summary>Gives a person another role; it counts from their next action on.</summary>
public sealed class ChangeRole(PlatformDatabase database, TimeProvider time)
{
    public sealed record Command(UserId User, Role Role);

    public async Task<Result> HandleAsync(Actor actor, Command command, CancellationToken cancellationToken)
    {
        actor.Require(Role.Administrator);
        return await database.TryWriteAsync(actor.WorkspaceId, async db =>
        {
            var membership = await db.Memberships.SingleOrDefaultAsync(m => m.UserId == command.User, cancellationToken);
            if (membership is null) return WorkspacePeople.NotFound;
            if (command.Role != Role.Administrator && await db.WhyNotWithoutAsync(command.User, cancellationToken) is { } error) return error;
            membership.ChangeRole(command.Role);
            db.Add(new AuditEntry(actor.WorkspaceId, actor.UserId, "role-changed", $"{command.User} to {command.Role.ToString().ToLowerInvariant()}", time.GetUtcNow()));
            return Result.Ok;
        }, cancellationToken);
    }
}
