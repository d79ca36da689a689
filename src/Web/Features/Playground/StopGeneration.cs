using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.Playground;

/// <summary>Ends an answer of the caller's own; the engine stops at its next step. One that has ended already is left as it is.</summary>
public sealed class StopGeneration(PlatformDatabase database, Generations generations)
{
    public static readonly Error NotFound = new("generation-not-found", "There is no such answer", "reload the page");

    public async Task<Result> RunAsync(Actor actor, GenerationId id, CancellationToken cancellationToken)
    {
        await using var db = database.Open(actor.WorkspaceId);
        if (!await db.Generations.AnyAsync(g => g.Id == id && g.UserId == actor.UserId, cancellationToken)) return NotFound;
        if (generations.Find(actor.WorkspaceId, id) is { } live) await live.StopAsync();
        return Result.Ok;
    }
}
