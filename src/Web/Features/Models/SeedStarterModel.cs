using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Features.Models;

/// <summary>
/// Puts the built-in model into each workspace, so that everything works offline at once. A newer starter model that comes with an
/// upgrade becomes a further version; runs made from the older one keep it.
/// </summary>
public sealed class SeedStarterModel(PlatformDatabase database, TimeProvider time) : IHostedService
{
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        List<WorkspaceId> workspaces;
        await using (var db = database.Open(WorkspaceScope.All)) workspaces = await db.Workspaces.Select(w => w.Id).ToListAsync(cancellationToken);
        foreach (var workspace in workspaces) await RunAsync(workspace, cancellationToken);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task RunAsync(WorkspaceId workspace, CancellationToken cancellationToken)
    {
        if (!File.Exists(Installation.StarterModel)) return;
        string sha256;
        await using (var file = File.OpenRead(Installation.StarterModel)) sha256 = Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken));
        await database.WriteAsync(workspace, async db =>
        {
            var model = await db.Models.SingleOrDefaultAsync(m => m.IsStarter, cancellationToken);
            if (model is null) db.Models.Add(model = new Model(ModelId.New(), workspace, "TokenMill starter", true, null, time.GetUtcNow()));
            if (await db.ModelVersions.AnyAsync(v => v.ModelId == model.Id && v.Sha256 == sha256, cancellationToken)) return;
            var number = await db.ModelVersions.Where(v => v.ModelId == model.Id).MaxAsync(v => (int?)v.Number, cancellationToken) ?? 0;
            var inspection = ModelInspector.Inspect(Installation.StarterModel);
            db.ModelVersions.Add(new ModelVersion(ModelVersionId.New(), workspace, model.Id, number + 1, ModelKind.Base, Installation.StarterModel, sha256, new FileInfo(Installation.StarterModel).Length, time.GetUtcNow())
            {
                Architecture = inspection.Architecture ?? "",
                Parameters = inspection.Parameters ?? 0,
                InspectionJson = Json.Serialize(inspection),
            });
        }, cancellationToken);
    }
}
