using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Features.Deployments;

/// <summary>
/// The files behind a model version: whole weights, or a base with its adapter in both forms (GGUF for the engine, PEFT for the trainer).
/// <see cref="ParityData"/>: the dataset version it was tuned on, if any.
/// </summary>
public sealed record DeployedModel(ModelVersion Weights, ModelVersion? Adapter, DatasetVersion? ParityData)
{
    /// <summary>The adapter's name inside the engine.</summary>
    public const string AdapterName = "tuned";

    public string? EngineAdapter => Adapter is null ? null : AdapterName;

    public static async Task<DeployedModel> LoadAsync(PlatformDbContext db, ModelVersionId id, CancellationToken cancellationToken)
    {
        var version = await db.ModelVersions.SingleOrDefaultAsync(v => v.Id == id, cancellationToken)
            ?? throw new RefusedException("model-missing", "The model version is gone", "deploy another version");
        var data = await db.FineTuneRuns.Where(r => r.Id == version.FineTuneRunId)
            .Join(db.DatasetVersions, r => r.DatasetVersionId, d => d.Id, (_, d) => d).SingleOrDefaultAsync(cancellationToken);
        if (version.Kind != ModelKind.Adapter) return new(version, null, data);
        var weights = await db.ModelVersions.SingleOrDefaultAsync(v => v.Id == version.BaseVersionId, cancellationToken)
            ?? throw new RefusedException("base-missing", "The adapter's base model is gone", "import the base again, or deploy the merged model");
        return new(weights, version, data);
    }
}
