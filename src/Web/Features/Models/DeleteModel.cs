using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.Models;

/// <summary>Takes a model out of the lists; what serves or was made from it keeps its files.</summary>
public sealed class DeleteModel(PlatformDatabase database, TimeProvider time)
{
    public Task<Result> RunAsync(Actor actor, ModelId id, CancellationToken cancellationToken)
    {
        actor.Require(Role.Member);
        return database.TryWriteAsync(actor.WorkspaceId, async db =>
        {
            var model = await db.Models.SingleOrDefaultAsync(m => m.Id == id && m.DeletedAt == null, cancellationToken);
            if (model is null) return new Error("model-not-found", "There is no such model", "reload the page");
            var serving = await db.Deployments.Where(d => d.DeletedAt == null)
                .Join(db.ModelVersions.Where(v => v.ModelId == id), d => d.ModelVersionId, v => v.Id, (d, _) => d.Name).FirstOrDefaultAsync(cancellationToken);
            if (serving is not null) return new Error("model-in-use", $"The deployment {serving} serves it", "delete the deployment first");
            if (model.Delete(time.GetUtcNow()) is { IsOk: false } refused) return refused;
            db.AuditEntries.Add(new AuditEntry(actor.WorkspaceId, actor.UserId, "model-deleted", $"{model.Id} {model.Name}", time.GetUtcNow()));
            return Result.Ok;
        }, cancellationToken);
    }
}
