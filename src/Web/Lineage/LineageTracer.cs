using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Localization;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Components;
using TokenMill.Web.Localisation;

namespace TokenMill.Web.Lineage;

/// <summary>
/// From any thing of the pipeline to the whole line: where it comes from, and the newest of what was made from it.
/// Each method starts at the thing whose page it is and fills in the stages before and after.
/// </summary>
public sealed class LineageTracer(PlatformDatabase database, IStringLocalizer localizer, Display display)
{
    public async Task<IReadOnlyList<LineageStage>> OfDatasetAsync(WorkspaceId workspace, DatasetVersionId version, CancellationToken cancellationToken)
    {
        await using var db = database.Open(workspace);
        var run = await db.FineTuneRuns.Where(r => r.DatasetVersionId == version).OrderByDescending(r => r.Id).FirstOrDefaultAsync(cancellationToken);
        return await LineAsync(db, LineageKind.Dataset, new Line(version, run?.Id, run?.ResultVersionId), cancellationToken);
    }

    public async Task<IReadOnlyList<LineageStage>> OfFineTuneAsync(WorkspaceId workspace, FineTuneRunId id, CancellationToken cancellationToken)
    {
        await using var db = database.Open(workspace);
        var run = await db.FineTuneRuns.SingleAsync(r => r.Id == id, cancellationToken);
        return await LineAsync(db, LineageKind.FineTune, new Line(run.DatasetVersionId, id, run.ResultVersionId), cancellationToken);
    }

    public async Task<IReadOnlyList<LineageStage>> OfModelAsync(WorkspaceId workspace, ModelVersionId id, CancellationToken cancellationToken)
    {
        await using var db = database.Open(workspace);
        return await LineAsync(db, LineageKind.Model, await FromModelAsync(db, id, cancellationToken), cancellationToken);
    }

    public async Task<IReadOnlyList<LineageStage>> OfEvaluationAsync(WorkspaceId workspace, EvaluationRunId id, CancellationToken cancellationToken)
    {
        await using var db = database.Open(workspace);
        var evaluation = await db.EvaluationRuns.SingleAsync(e => e.Id == id, cancellationToken);
        var line = await FromModelAsync(db, evaluation.TunedVersionId, cancellationToken);
        return await LineAsync(db, LineageKind.Evaluation, line with { Evaluation = id }, cancellationToken);
    }

    public async Task<IReadOnlyList<LineageStage>> OfDeploymentAsync(WorkspaceId workspace, DeploymentId id, CancellationToken cancellationToken)
    {
        await using var db = database.Open(workspace);
        var deployment = await db.Deployments.SingleAsync(d => d.Id == id, cancellationToken);
        var line = await FromModelAsync(db, deployment.ModelVersionId, cancellationToken);
        return await LineAsync(db, LineageKind.Deployment, line with { Deployment = id }, cancellationToken);
    }

    private sealed record Line(DatasetVersionId? Dataset, FineTuneRunId? FineTune, ModelVersionId? Model)
    {
        public EvaluationRunId? Evaluation { get; init; }
        public DeploymentId? Deployment { get; init; }
    }

    private static async Task<Line> FromModelAsync(PlatformDbContext db, ModelVersionId id, CancellationToken cancellationToken)
    {
        var version = await db.ModelVersions.SingleAsync(v => v.Id == id, cancellationToken);
        var run = version.FineTuneRunId is { } runId ? await db.FineTuneRuns.SingleOrDefaultAsync(r => r.Id == runId, cancellationToken) : null;
        return new Line(run?.DatasetVersionId, run?.Id, id);
    }

    private async Task<IReadOnlyList<LineageStage>> LineAsync(PlatformDbContext db, LineageKind current, Line line, CancellationToken cancellationToken)
    {
        var dataset = line.Dataset is { } datasetVersion
            ? await db.DatasetVersions.Where(v => v.Id == datasetVersion).Join(db.Datasets, v => v.DatasetId, d => d.Id, (v, d) => new { d.Id, d.Name, v.Number }).SingleOrDefaultAsync(cancellationToken)
            : null;
        var run = line.FineTune is { } runId ? await db.FineTuneRuns.Where(r => r.Id == runId).Select(r => new { r.Id, r.Name, r.Number }).SingleOrDefaultAsync(cancellationToken) : null;
        var model = line.Model is { } modelVersion
            ? await db.ModelVersions.Where(v => v.Id == modelVersion).Join(db.Models, v => v.ModelId, m => m.Id, (v, m) => new { m.Id, m.Name, v.Number }).SingleOrDefaultAsync(cancellationToken)
            : null;
        var evaluations = db.EvaluationRuns.Where(e => line.Evaluation != null ? e.Id == line.Evaluation : e.TunedVersionId == line.Model);
        var evaluation = line.Model is null ? null : await evaluations.OrderByDescending(e => e.Id).Select(e => new { e.Id, e.Name }).FirstOrDefaultAsync(cancellationToken);
        var deployments = db.Deployments.Where(d => line.Deployment != null ? d.Id == line.Deployment : d.ModelVersionId == line.Model && d.DeletedAt == null);
        var deployment = line.Model is null ? null : await deployments.OrderByDescending(d => d.Id).Select(d => new { d.Id, d.Name }).FirstOrDefaultAsync(cancellationToken);
        var tokens = deployment is null ? 0 : await db.UsageRecords.Where(u => u.DeploymentId == deployment.Id).SumAsync(u => (long)u.PromptTokens + u.CompletionTokens, cancellationToken);

        return
        [
            Stage(LineageKind.Dataset, dataset is null ? null : $"{dataset.Name} v{dataset.Number}", dataset is null ? null : Links.Dataset(dataset.Id)),
            Stage(LineageKind.FineTune, run is null ? null : $"{run.Name} #{run.Number}", run is null ? null : Links.FineTune(run.Id)),
            Stage(LineageKind.Model, model is null ? null : $"{model.Name} v{model.Number}", model is null ? null : Links.Model(model.Id)),
            Stage(LineageKind.Evaluation, evaluation?.Name, evaluation is null ? null : Links.Evaluation(evaluation.Id)),
            Stage(LineageKind.Deployment, deployment?.Name, deployment is null ? null : Links.Deployment(deployment.Id)),
            Stage(LineageKind.Cost, tokens == 0 ? null : localizer["{0} tokens", display.Short(tokens)].Value, tokens == 0 ? null : Links.Deployment(deployment!.Id)),
        ];

        LineageStage Stage(LineageKind kind, string? name, string? href) => new(kind, name, href, kind == current);
    }
}
