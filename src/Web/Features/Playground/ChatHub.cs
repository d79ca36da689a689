using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.SignalR;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.Playground;

/// <summary>One push to the browser: text to append, or (last) how it ended.</summary>
public sealed record GenerationUpdate(string? Text, GenerationState? Ended);

/// <summary>
/// Tokens to the browser. <c>Attach(id, offset)</c> streams an answer from any offset on, so a browser that comes back gets the rest
/// and nothing twice; <c>Stop(id)</c> ends it.
/// </summary>
[Authorize(Policies.Viewer)]
public sealed class ChatHub(PlatformDatabase database, Access access, Generations generations, StopGeneration stopping) : Hub
{
    public const string Path = "/hubs/chat";

    public async IAsyncEnumerable<GenerationUpdate> Attach(Guid id, int offset, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var (workspace, generation) = await FindAsync(id, cancellationToken);
        if (generations.Find(workspace, generation.Id) is { } live)
        {
            await foreach (var text in live.ReadAsync(offset, cancellationToken))
            {
                offset += text.Length;
                yield return new GenerationUpdate(text, null);
            }
            (_, generation) = await FindAsync(id, cancellationToken);
        }
        var rest = generation.Text[Math.Clamp(offset, 0, generation.Text.Length)..];
        yield return new GenerationUpdate(rest.Length == 0 ? null : rest, generation.State);
    }

    public async Task Stop(Guid id)
    {
        var result = await stopping.RunAsync(await RequireAsync(Context.ConnectionAborted), new GenerationId(id), Context.ConnectionAborted);
        if (!result.IsOk) throw new HubException(result.Error.Code);
    }

    /// <summary>The caller's own answer in the caller's workspace; anything else does not exist for them.</summary>
    private async Task<(WorkspaceId Workspace, Generation Generation)> FindAsync(Guid id, CancellationToken cancellationToken)
    {
        var actor = await RequireAsync(cancellationToken);
        await using var db = database.Open(actor.WorkspaceId);
        var key = new GenerationId(id);
        var generation = await db.Generations.SingleOrDefaultAsync(g => g.Id == key && g.UserId == actor.UserId, cancellationToken);
        return generation is null ? throw new HubException(StopGeneration.NotFound.Code) : (actor.WorkspaceId, generation);
    }

    /// <summary>Rights of now, not of when the connection was opened.</summary>
    private async Task<Actor> RequireAsync(CancellationToken cancellationToken) =>
        Context.User is { } principal && await access.FindAsync(principal, cancellationToken) is { } actor ? actor : throw new HubException("not-signed-in");
}
