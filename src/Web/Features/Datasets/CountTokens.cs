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
    public async Task<Result> RunAsync(DatasetVersion version, CancellationToken cancellationToken)
    {
        if (version.StorePath is not { } store) return new Error("dataset-not-ready", "The version has no rows yet", "wait until its import has ended");
        if (await ModelAsync(version.WorkspaceId, cancellationToken) is not var (path, name)) return new Error("no-model", "There is no model to count tokens with", "import a model first");
        try
        {
            var report = await CheckWithModel.RunAsync(data.Resolve(store), new DatasetReaderOptions { Format = "messages", Warnings = false }, path, null, time, cancellationToken);
            if (report.Tokens is not { } statistics) return new Error("nothing-counted", $"{name} could not count any row", "try another model");
            await database.WriteAsync(version.WorkspaceId, async db =>
                (await db.DatasetVersions.SingleAsync(v => v.Id == version.Id, cancellationToken)).RecordTokenStatistics(Json.Serialize(new DatasetTokens(name, statistics))), cancellationToken);
            return Result.Ok;
        }
        catch (RefusedException e)
        {
            return e.Error;
        }
    }

    private async Task<(string Path, string Name)?> ModelAsync(WorkspaceId workspace, CancellationToken cancellationToken)
    {
        await using var db = database.Open(workspace);
        var models = await db.Models.Where(m => m.DeletedAt == null)
            .Join(db.ModelVersions.Where(v => v.Kind == ModelKind.Base), m => m.Id, v => v.ModelId, (m, v) => new { m.Name, m.IsStarter, v.Path, v.Id })
            .ToListAsync(cancellationToken);
        var chosen = models.OrderBy(m => m.IsStarter).ThenByDescending(m => m.Id.Value).FirstOrDefault(m => File.Exists(data.Resolve(m.Path)));
        return chosen is null ? null : (data.Resolve(chosen.Path), chosen.Name);
    }
}
