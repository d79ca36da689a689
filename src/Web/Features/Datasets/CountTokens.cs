using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.JsonLines;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Features.Datasets;

/// <summary>Counts the tokens of a dataset version with the tokenizer and template of the newest imported model that can be trained, else the starter model.</summary>
public sealed class CountTokens(PlatformDatabase database, DataDirectory data, TimeProvider time)
{
    public async Task<DatasetTokens> RunAsync(WorkspaceId workspace, DatasetVersionId id, CancellationToken cancellationToken)
    {
        try
        {
            return await CountAsync(workspace, id, cancellationToken);
        }
        catch (RefusedException e)
        {
            return new DatasetTokens { Error = e.Error };
        }
    }

    public Task StoreAsync(WorkspaceId workspace, DatasetVersionId id, DatasetTokens tokens, CancellationToken cancellationToken) =>
        database.WriteAsync(workspace, async db => (await db.DatasetVersions.SingleAsync(v => v.Id == id, cancellationToken)).RecordTokenStatistics(Json.Serialize(tokens)), cancellationToken);

    private async Task<DatasetTokens> CountAsync(WorkspaceId workspace, DatasetVersionId id, CancellationToken cancellationToken)
    {
        await using var db = database.Open(workspace);
        var store = await db.DatasetVersions.Where(v => v.Id == id).Select(v => v.StorePath).SingleAsync(cancellationToken)
            ?? throw new RefusedException("dataset-not-ready", "The version has no rows yet", "wait until its import has ended");
        var (path, name) = await ModelAsync(db, cancellationToken) ?? throw new RefusedException("no-model", "There is no model to count tokens with", "import a model first");
        var report = await CheckWithModel.RunAsync(data.Resolve(store), new DatasetReaderOptions { Format = "messages", Warnings = false }, path, null, time, cancellationToken);
        return report.Tokens is { } statistics
            ? new DatasetTokens { Model = name, Statistics = statistics }
            : throw new RefusedException("nothing-counted", $"{name} could not count any row", "try another model");
    }

    private async Task<(string Path, string Name)?> ModelAsync(PlatformDbContext db, CancellationToken cancellationToken)
    {
        var models = await db.Models.Where(m => m.DeletedAt == null)
            .Join(db.ModelVersions.Where(v => v.Kind == ModelKind.Base), m => m.Id, v => v.ModelId, (m, v) => new { m.Name, m.IsStarter, v.Path, v.Id })
            .ToListAsync(cancellationToken);
        var chosen = models.OrderBy(m => m.IsStarter).ThenByDescending(m => m.Id.Value).FirstOrDefault(m => File.Exists(data.Resolve(m.Path)));
        return chosen is null ? null : (data.Resolve(chosen.Path), chosen.Name);
    }
}
