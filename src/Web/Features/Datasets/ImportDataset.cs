using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.Datasets;

/// <summary>Makes a new version of a dataset (or the first of a new one) from an uploaded file. The file is read in the background.</summary>
public sealed class ImportDataset(PlatformDatabase database, DatasetImports imports, TimeProvider time)
{
    /// <param name="DatasetId">Null: a new dataset.</param>
    /// <param name="FileName">What the client calls the file: a label, never a path.</param>
    /// <param name="UploadPath">Where the upload lies; the import owns it from now on.</param>
    public sealed record Command(DatasetId? DatasetId, string? Name, string FileName, string UploadPath);

    public async Task<Result<DatasetVersion>> RunAsync(Actor actor, Command command, CancellationToken cancellationToken)
    {
        actor.Require(Role.Member);
        var label = LabelOf(command.FileName);
        var result = await database.WriteAsync<Result<DatasetVersion>>(actor.WorkspaceId, async db =>
        {
            var dataset = await DatasetAsync(db, actor, command, label, cancellationToken);
            if (!dataset.IsOk) return dataset.Error;
            var number = await db.DatasetVersions.Where(v => v.DatasetId == dataset.Value.Id).MaxAsync(v => (int?)v.Number, cancellationToken) ?? 0;
            var version = new DatasetVersion(DatasetVersionId.New(), actor.WorkspaceId, dataset.Value.Id, number + 1, label, actor.UserId, time.GetUtcNow());
            db.DatasetVersions.Add(version);
            db.AuditEntries.Add(new AuditEntry(actor.WorkspaceId, actor.UserId, "dataset-imported", $"{version.Id} {dataset.Value.Name} v{version.Number}", time.GetUtcNow()));
            return version;
        }, cancellationToken);
        if (result.IsOk) imports.Begin(result.Value, command.UploadPath);
        else File.Delete(command.UploadPath);
        return result;
    }

    private async Task<Result<Dataset>> DatasetAsync(PlatformDbContext db, Actor actor, Command command, string label, CancellationToken cancellationToken)
    {
        if (command.DatasetId is { } id)
            return await db.Datasets.SingleOrDefaultAsync(d => d.Id == id && d.DeletedAt == null, cancellationToken) is { } known
                ? known : new Error("dataset-not-found", "There is no such dataset", "reload the page");
        var name = string.IsNullOrWhiteSpace(command.Name) ? Path.GetFileNameWithoutExtension(label) : command.Name.Trim();
        if (Naming.Check(name) is { } badName) return badName;
        var dataset = new Dataset(DatasetId.New(), actor.WorkspaceId, name, actor.UserId, time.GetUtcNow());
        db.Datasets.Add(dataset);
        return dataset;
    }

    /// <summary>The last part of whatever the client sent, without what cannot be shown.</summary>
    public static string LabelOf(string fileName)
    {
        var last = fileName.Split('/', '\\')[^1];
        var visible = string.Concat(last.Where(c => !char.IsControl(c))).Trim();
        return visible.Length switch { 0 => "upload", > Naming.MaxLength => visible[..Naming.MaxLength], _ => visible };
    }
}
