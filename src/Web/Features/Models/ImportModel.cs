using System.Security.Cryptography;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Features.Models;

/// <summary>
/// Takes a GGUF file into the store, after our own parser has gone through all of it. What it refuses is deleted; the refusal
/// names every mistake.
/// </summary>
public sealed class ImportModel(PlatformDatabase database, DataDirectory data, TimeProvider time)
{
    /// <param name="FileName">What the client calls the file: a label, never a path.</param>
    /// <param name="UploadPath">Where the upload lies; the import owns it from now on.</param>
    public sealed record Command(string? Name, string FileName, string UploadPath);

    public async Task<Result<ModelVersion>> RunAsync(Actor actor, Command command, CancellationToken cancellationToken)
    {
        actor.Require(Role.Member);
        try
        {
            var inspection = await Task.Run(() => ModelInspector.Inspect(command.UploadPath), cancellationToken);
            if (!inspection.Accepted || inspection.Kind != "gguf") return Refusal(inspection);
            var name = string.IsNullOrWhiteSpace(command.Name) ? Path.GetFileNameWithoutExtension(Datasets.ImportDataset.LabelOf(command.FileName)) : command.Name.Trim();
            if (Naming.Check(name) is { } badName) return badName;
            var id = ModelVersionId.New();
            var path = Path.Combine(data.Models, id.ToString(), "model.gguf");
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            string sha256;
            await using (var file = File.OpenRead(command.UploadPath)) sha256 = Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken));
            File.Move(command.UploadPath, path);
            var version = new ModelVersion(id, actor.WorkspaceId, ModelId.New(), 1, ModelKind.Base, data.Relative(path), sha256, new FileInfo(path).Length, time.GetUtcNow())
            {
                Architecture = inspection.Architecture ?? "",
                Parameters = inspection.Parameters ?? 0,
                InspectionJson = Json.Serialize(inspection),
            };
            await database.WriteAsync(actor.WorkspaceId, db =>
            {
                db.Models.Add(new Model(version.ModelId, actor.WorkspaceId, name, false, actor.UserId, time.GetUtcNow()));
                db.ModelVersions.Add(version);
                db.AuditEntries.Add(new AuditEntry(actor.WorkspaceId, actor.UserId, "model-imported", $"{version.Id} {name}", time.GetUtcNow()));
                return Task.CompletedTask;
            }, cancellationToken);
            return version;
        }
        finally
        {
            File.Delete(command.UploadPath);
        }
    }

    private static Error Refusal(ModelInspection inspection)
    {
        if (inspection.Accepted) return new Error("not-gguf", $"This is {inspection.Kind}, not a GGUF file", "convert it first, then import the GGUF file");
        var mistakes = inspection.Errors.Select(e => $"{e.Field}: {e.Message}");
        return new Error(inspection.Errors.Count > 0 ? inspection.Errors[0].Code : "model-refused", string.Join("; ", mistakes), "get the file again from its source, or convert the model anew");
    }
}
