using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.ApiKeys;

/// <summary>Ends a key at once. Members revoke their own, administrators any of the workspace.</summary>
public sealed class RevokeApiKey(PlatformDatabase database, TimeProvider time)
{
    public async Task<Result> HandleAsync(Actor actor, ApiKeyId id, CancellationToken cancellationToken)
    {
        actor.Require(Role.Member);
        return await database.TryWriteAsync(actor.WorkspaceId, async db =>
        {
            var key = await db.ApiKeys.SingleOrDefaultAsync(k => k.Id == id, cancellationToken);
            if (key is null) return new Error("key-not-found", "There is no such key in this workspace", "reload the page");
            if (key.CreatedBy != actor.UserId) actor.Require(Role.Administrator);
            key.Revoke(time.GetUtcNow());
            db.Add(new AuditEntry(actor.WorkspaceId, actor.UserId, "api-key-revoked", $"{key.Name} ({key.Prefix}…)", time.GetUtcNow()));
            return Result.Ok;
        }, cancellationToken);
    }
}
