using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>
/// Makes model versions of what a finished trainer exported, and the run succeeded, in one transaction: after a crash in between it
/// is simply done again. The adapter is the run's result where there is one; a merged model comes beside it.
/// </summary>
public sealed class RegisterResult(PlatformDatabase database, RunFolders folders, DataDirectory data, TimeProvider time)
{
    public async Task<Result> RunAsync(FineTuneRun run, string token)
    {
        var exports = await ExportsAsync(run);
        if (exports.GetValueOrDefault("gguf-lora") is null && exports.GetValueOrDefault("merged") is null)
            return new Error("nothing-exported", "The trainer finished without an adapter or a model to serve", "resume the run to export again");
        var files = new Dictionary<ModelKind, (string Path, string Sha256, long SizeBytes)>();
        foreach (var (kind, export) in new[] { (ModelKind.Adapter, "gguf-lora"), (ModelKind.Merged, "merged") })
        {
            if (exports.GetValueOrDefault(export) is not { } path) continue;
            if (!File.Exists(path)) return new Error("export-missing", $"The trainer named an export ({export}) that is not there", "resume the run to export again");
            await using var file = File.OpenRead(path);
            files[kind] = (data.Relative(path), Convert.ToHexStringLower(await SHA256.HashDataAsync(file)), file.Length);
        }

        return await database.TryWriteAsync(run.WorkspaceId, async db =>
        {
            var current = await db.FineTuneRuns.FirstAsync(r => r.Id == run.Id);
            var source = await db.ModelVersions.FirstAsync(v => v.Id == run.BaseVersionId);
            var model = await db.Models.FirstOrDefaultAsync(m => m.Name == run.Name && m.DeletedAt == null && !m.IsStarter);
            if (model is null) db.Models.Add(model = new Model(ModelId.New(), run.WorkspaceId, run.Name, false, run.CreatedBy, time.GetUtcNow()));
            var number = await db.ModelVersions.Where(v => v.ModelId == model.Id).MaxAsync(v => (int?)v.Number) ?? 0;
            var made = files.OrderBy(f => f.Key == ModelKind.Adapter).Select(f => new ModelVersion(ModelVersionId.New(), run.WorkspaceId, model.Id, ++number, f.Key, f.Value.Path, f.Value.Sha256, f.Value.SizeBytes, time.GetUtcNow())
            {
                AdapterPath = f.Key == ModelKind.Adapter && exports.GetValueOrDefault("peft") is { } peft ? data.Relative(peft) : null,
                Architecture = source.Architecture,
                Parameters = source.Parameters,
                InspectionJson = f.Key == ModelKind.Merged ? source.InspectionJson : null,
                BaseVersionId = source.Id,
                FineTuneRunId = run.Id,
            }).ToList();
            db.ModelVersions.AddRange(made);
            return current.Succeed(token, made[^1].Id, time.GetUtcNow());
        }, CancellationToken.None);
    }

    /// <summary>Kind to absolute path, the last word on each.</summary>
    private async Task<Dictionary<string, string>> ExportsAsync(FineTuneRun run)
    {
        await using var db = database.Open(run.WorkspaceId);
        var events = await db.RunEvents.AsNoTracking().Where(e => e.RunId == run.Id && e.Type == "export").OrderBy(e => e.Sequence).Select(e => e.Json).ToListAsync();
        var exports = new Dictionary<string, string>();
        foreach (var export in events.Select(Json.Deserialize<TrainerEvent>).OfType<ExportEvent>()) exports[export.Kind] = Path.GetFullPath(export.Path, folders.Output(run.Id));
        return exports;
    }
}
