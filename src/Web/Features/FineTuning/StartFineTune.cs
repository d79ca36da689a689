using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Hosting;
using TokenMill.Web.Jobs;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>Checks what can be known before, fixes the specification for good, and puts the run into the queue.</summary>
public sealed class StartFineTune(PlatformDatabase database, DataDirectory directory, RunFolders folders, JobQueue queue, TimeProvider time)
{
    public sealed record Command(string Name, DatasetVersionId DatasetVersionId, ModelVersionId BaseVersionId, FineTuneSettings Settings);

    public async Task<Result<FineTuneRunId>> HandleAsync(Actor actor, Command command, CancellationToken cancellationToken)
    {
        actor.Require(Role.Member);
        var (workspace, user) = (actor.WorkspaceId, actor.UserId);
        if (Naming.Check(command.Name) is { } badName) return badName;
        if (command.Settings.Check() is [var (field, mistake), ..]) return mistake with { Message = $"{field}: {mistake.Message}" };

        var run = default(FineTuneRun);
        var job = default(Job);
        var started = await database.TryWriteAsync(workspace, async db =>
        {
            var data = await db.DatasetVersions.FirstOrDefaultAsync(v => v.Id == command.DatasetVersionId, cancellationToken);
            if (data is null) return new Error("dataset-not-found", "This dataset version is not there", "pick another");
            if (data.WhyNotUsable() is { } unusable) return unusable;
            var model = await db.ModelVersions.FirstOrDefaultAsync(v => v.Id == command.BaseVersionId, cancellationToken);
            if (model is null) return new Error("model-not-found", "This model version is not there", "pick another");
            if (WhyNotTrainable(model) is { } untrainable) return untrainable;

            var id = FineTuneRunId.New();
            var spec = command.Settings.ToSpec(directory.Resolve(model.Path), directory.Resolve(data.StorePath!), folders.Output(id), data.GoodRows);
            var number = (await db.FineTuneRuns.MaxAsync(r => (int?)r.Number, cancellationToken) ?? 0) + 1;
            run = new FineTuneRun(id, workspace, command.Name.Trim(), number, data.Id, model.Id, Json.Serialize(spec), user, time.GetUtcNow());
            job = new Job(JobId.New(), workspace, JobKind.FineTune, id.Value, $"{run.Name} #{number}", ExecutionGroup.Cpu, user, time.GetUtcNow());
            db.FineTuneRuns.Add(run);
            db.Jobs.Add(job);
            return Result.Ok;
        }, cancellationToken);
        if (!started.IsOk) return started.Error;
        await queue.WakeAsync(job!, cancellationToken);
        return run!.Id;
    }

    /// <summary>Why this model version cannot be the base of a fine-tune, or null.</summary>
    public static Error? WhyNotTrainable(ModelVersion model)
    {
        if (model.Kind == ModelKind.Adapter) return new Error("model-not-trainable", "An adapter alone has no weights to train on", "pick its base, or a run that also wrote a merged model");
        var trainable = model.InspectionJson is { } json ? JsonNode.Parse(json)?["trainable"] : null;
        return trainable?["yes"]?.GetValueKind() == System.Text.Json.JsonValueKind.False
            ? new Error("model-not-trainable", $"This model cannot be trained: {trainable["why"]}", "pick another model")
            : null;
    }
}
