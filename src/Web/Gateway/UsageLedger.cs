using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Gateway;

/// <summary>Tokens of one request, as its engine counted them.</summary>
public readonly record struct TokenCount(int Prompt, int Cached, int Completion);

/// <summary>
/// What every request used, written exactly once: reserved under a unique request id before the first token, settled when the
/// request ends, however it ends. What an earlier platform left reserved, since it was killed, is closed at the start.
/// </summary>
public sealed class UsageLedger(PlatformDatabase database, TimeProvider time) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken) => database.WriteAsync(WorkspaceScope.All, async db =>
    {
        foreach (var left in await db.UsageRecords.Where(r => r.State == UsageState.Reserved).ToListAsync(cancellationToken)) left.Interrupt(time.GetUtcNow());
    }, cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task ReserveAsync(string requestId, WorkspaceId workspace, DeploymentId deployment, ApiKeyId? key, UserId? user, CancellationToken cancellationToken) =>
        database.WriteAsync(workspace, db =>
        {
            db.UsageRecords.Add(new UsageRecord(requestId, workspace, deployment, key, user, time.GetUtcNow()));
            return Task.CompletedTask;
        }, cancellationToken);

    /// <summary>Not cancellable: what was computed counts even when nobody listened to the end.</summary>
    public async Task SettleAsync(string requestId, WorkspaceId workspace, TokenCount tokens) =>
        (await database.TryWriteAsync(workspace, async db =>
        {
            var record = await db.UsageRecords.SingleAsync(r => r.RequestId == requestId);
            return record.Settle(tokens.Prompt, tokens.Cached, tokens.Completion, time.GetUtcNow());
        }, CancellationToken.None)).OrThrow();
}
