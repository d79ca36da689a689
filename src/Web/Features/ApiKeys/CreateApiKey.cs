using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.ApiKeys;

/// <summary>Makes a key of the actor's workspace. The secret is in the result and nowhere else.</summary>
public sealed class CreateApiKey(PlatformDatabase database, TimeProvider time)
{
    public sealed record Command(string Name);

    public sealed record Created(ApiKeyId Id, string Secret);

    public async Task<Result<Created>> HandleAsync(Actor actor, Command command, CancellationToken cancellationToken)
    {
        actor.Require(Role.Member);
        if (Naming.Check(command.Name) is { } error) return error;
        var now = time.GetUtcNow();
        var (key, secret) = ApiKey.Create(actor.WorkspaceId, command.Name, actor.UserId, now);
        await database.WriteAsync(actor.WorkspaceId, db =>
        {
            db.Add(key);
            db.Add(new AuditEntry(actor.WorkspaceId, actor.UserId, "api-key-created", $"{key.Name} ({key.Prefix}…)", now));
            return Task.CompletedTask;
        }, cancellationToken);
        return new Created(key.Id, secret);
    }
}
