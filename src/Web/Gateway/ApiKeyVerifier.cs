using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Gateway;

/// <summary>
/// Finds the key a caller shows. The lookup is by the SHA-256 of 192 random bits, so its timing tells nothing about any key;
/// it is done at every call, so that a revoked key is refused at once.
/// </summary>
public sealed class ApiKeyVerifier(PlatformDatabase database, TimeProvider time)
{
    private static readonly TimeSpan UsePrecision = TimeSpan.FromMinutes(1);
    private const int MaxSecretLength = 200;

    public async Task<ApiKey?> FindAsync(string secret, CancellationToken cancellationToken)
    {
        if (secret.Length > MaxSecretLength) return null;
        var hash = ApiKey.HashOf(secret);
        await using var db = database.Open(WorkspaceScope.All);
        var key = await db.ApiKeys.AsNoTracking().SingleOrDefaultAsync(k => k.Hash == hash && k.RevokedAt == null, cancellationToken);
        if (key is not null && !(time.GetUtcNow() - key.LastUsedAt < UsePrecision))
            await database.WriteAsync(key.WorkspaceId, async own => (await own.ApiKeys.SingleAsync(k => k.Id == key.Id, cancellationToken)).Use(time.GetUtcNow()), cancellationToken);
        return key;
    }
}
