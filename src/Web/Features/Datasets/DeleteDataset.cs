using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.Datasets;

/// <summary>Takes a dataset out of the lists. Its rows stay on disk, since fine-tunes and evaluations made from them refer to them.</summary>
public sealed class DeleteDataset(PlatformDatabase database, TimeProvider time)
{
    public Task<Result> RunAsync(Actor actor, DatasetId id, CancellationToken cancellationToken)
    {
        actor.Require(Role.Member);
        return database.TryWriteAsync(actor.WorkspaceId, async db =>
        {
            var dataset = await db.Datasets.SingleOrDefaultAsync(d => d.Id == id && d.DeletedAt == null, cancellationToken);
            if (dataset is null) return new Error("dataset-not-found", "There is no such dataset", "reload the page");
            dataset.Delete(time.GetUtcNow());
            db.AuditEntries.Add(new AuditEntry(actor.WorkspaceId, actor.UserId, "dataset-deleted", $"{dataset.Id} {dataset.Name}", time.GetUtcNow()));
            return Result.Ok;
        }, cancellationToken);
    }
}
