using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Jobs;

namespace TokenMill.Web.Features.Evaluation;

/// <summary>Puts a comparison of a tuned model with its base into the queue, on the rows that its fine-tune kept aside (a sample where it kept none) or on all.</summary>
public sealed class StartEvaluation(PlatformDatabase database, JobQueue queue, TimeProvider time)
{
    public sealed record Command(ModelVersionId Tuned, DatasetVersionId Dataset, bool AllRows);

    public async Task<Result<EvaluationRunId>> HandleAsync(Actor actor, Command command, CancellationToken cancellationToken)
    {
        actor.Require(Role.Member);
        var evaluation = default(EvaluationRun);
        var job = default(Job);
        var started = await database.TryWriteAsync(actor.WorkspaceId, async db =>
        {
            var tuned = await db.ModelVersions.SingleOrDefaultAsync(v => v.Id == command.Tuned, cancellationToken);
            if (tuned is null) return new Error("model-not-found", "This model version is not there", "pick another");
            if (tuned.BaseVersionId is not { } baseId) return new Error("no-base", "This model was not made from another, so there is nothing to compare it with", "pick a model that a fine-tune made");
            var data = await db.DatasetVersions.SingleOrDefaultAsync(v => v.Id == command.Dataset, cancellationToken);
            if (data is null) return new Error("dataset-not-found", "This dataset version is not there", "pick another");
            if (data.WhyNotUsable() is { } unusable) return unusable;
            var run = await db.FineTuneRuns.SingleOrDefaultAsync(r => r.Id == tuned.FineTuneRunId, cancellationToken);
            var keptAside = run is null ? null : FineTuneSpec.Parse(run.SpecJson).Validation?.Fraction;
            var model = await db.Models.SingleAsync(m => m.Id == tuned.ModelId, cancellationToken);
            var options = new EvaluationOptions(command.AllRows || keptAside is not > 0 ? null : keptAside) { IsSample = !command.AllRows && keptAside is not > 0 };
            evaluation = new EvaluationRun(EvaluationRunId.New(), actor.WorkspaceId, $"{model.Name} v{tuned.Number}", data.Id, baseId, tuned.Id, Json.Serialize(options), actor.UserId, time.GetUtcNow());
            job = new Job(JobId.New(), actor.WorkspaceId, JobKind.Evaluation, evaluation.Id.Value, evaluation.Name, ExecutionGroup.Cpu, actor.UserId, time.GetUtcNow());
            db.AddRange(evaluation, job);
            return Result.Ok;
        }, cancellationToken);
        if (!started.IsOk) return started.Error;
        await queue.WakeAsync(job!, cancellationToken);
        return evaluation!.Id;
    }
}
