using System.Diagnostics;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.Deployments;

/// <summary>
/// Keeps one deployment answering: check the files → load → compare with the trainer → ready, and again when its process ends.
/// Every step is written down with its reason. A refusal is final until a person starts it again; a crash is tried again.
/// </summary>
public sealed class DeploymentReplica(DeploymentId id, WorkspaceId workspace, ReplicaServices services)
{
    private readonly RestartPolicy _restarts = new(services.Time);

    /// <summary>Ends when <paramref name="stop"/> (it is no longer wanted), <paramref name="shutdown"/> (the portal ends) or a failure ends it.</summary>
    public async Task RunAsync(CancellationToken stop, CancellationToken shutdown)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop, shutdown);
        try
        {
            while (await OnceAsync(end.Token) is { } pause) await Task.Delay(pause, services.Time, end.Token);
        }
        catch (OperationCanceledException) when (shutdown.IsCancellationRequested)
        {
            // It is wanted as before: the next start of the portal brings it back.
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            await ChangeAsync(d => d.BecomeStopped(Now));
            await LogAsync("stop", DeploymentStepState.Done, "stopped on request");
        }
    }

    /// <summary>One life of the process. The pause before the next one, or null when there is none.</summary>
    private async Task<TimeSpan?> OnceAsync(CancellationToken cancellationToken)
    {
        var step = "check";
        try
        {
            var begun = Result.Ok;
            await ChangeAsync(d => begun = d.BeginAttempt(Now));
            begun.OrThrow();
            var (deployment, model) = await ReadAsync(cancellationToken);
            await LogAsync(step, DeploymentStepState.Running, "comparing the files with what was imported");
            await LogAsync(step, DeploymentStepState.Done, await CheckAsync(model, cancellationToken));

            if (DeploymentOptions.Parse(deployment.OptionsJson) is { MeasuresWeights: true } chosen)
            {
                step = "weights";
                model = model with { Weights = await ChooseWeightsAsync(chosen, model.Weights, cancellationToken) };
            }

            step = "load";
            await ChangeAsync(d => d.Load(Now));
            var threads = services.Cores.ServingThreads;
            await LogAsync(step, DeploymentStepState.Running, $"loading {model.Weights.SizeBytes / 1e6:0} MB on {threads} thread{(threads == 1 ? ", since a fine-tune runs" : "s")}");
            var clock = Stopwatch.StartNew();
            await using var engine = await ServingProcess.StartAsync(Options(deployment, model, threads), services.Time, null, cancellationToken);
            await services.Cores.AddAsync(engine, cancellationToken);
            var loadSeconds = clock.Elapsed.TotalSeconds;
            await LogAsync(step, DeploymentStepState.Done, $"loaded in {loadSeconds:0.0} s");

            step = "parity";
            await ChangeAsync(d => d.CheckParity(loadSeconds, Now));
            var parity = await CompareAsync(deployment, model, engine, cancellationToken);

            step = "serve";
            services.Running.Add(new RunningDeployment(id, engine, model.EngineAdapter));
            try
            {
                await ChangeAsync(d => d.BecomeReady(loadSeconds, parity is null ? null : Json.Serialize(parity), Now));
                await LogAsync("ready", DeploymentStepState.Done, "it answers");
                _restarts.Worked();
                var reason = await engine.Exited.WaitAsync(cancellationToken);
                return await LostAsync(step, reason);
            }
            finally
            {
                services.Running.Remove(id);
            }
        }
        catch (RefusedException e) when (e.Error.Code is "serving-crashed" or "serving-unresponsive")
        {
            return await LostAsync(step, e.Error);
        }
        catch (RefusedException e)
        {
            await FailAsync(step, e.Error);
            return null;
        }
    }

    private async Task<(Deployment Deployment, DeployedModel Model)> ReadAsync(CancellationToken cancellationToken)
    {
        await using var db = services.Database.Open(workspace);
        var deployment = await db.Deployments.SingleAsync(d => d.Id == id, cancellationToken);
        return (deployment, await DeployedModel.LoadAsync(db, deployment.ModelVersionId, cancellationToken));
    }

    /// <summary>The files are there, are the ones that were imported, and are sound; what was done, in words.</summary>
    private async Task<string> CheckAsync(DeployedModel model, CancellationToken cancellationToken)
    {
        foreach (var version in new[] { model.Weights, model.Adapter }.OfType<ModelVersion>()) await services.Files.RequireUnchangedAsync(version, cancellationToken);
        using var weights = GgufFile.Open(services.Data.Resolve(model.Weights.Path));
        GgufModel.Check(weights);
        return "the files are the ones that were imported (SHA-256)";
    }

    /// <summary>The weights as deployed, or the variant of them that measurement found better, if it is there or may be made.</summary>
    private async Task<ModelVersion> ChooseWeightsAsync(DeploymentOptions options, ModelVersion weights, CancellationToken cancellationToken)
    {
        const string step = "weights";
        await LogAsync(step, DeploymentStepState.Running, "measuring which type of weights is best on this machine");
        var report = await services.Weights.MeasureAsync(weights, cancellationToken);
        if (report.IsFileType)
        {
            await LogAsync(step, DeploymentStepState.Done, $"the file's {report.FileType} is the best choice on this machine");
            return weights;
        }
        var finding = string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{report.Type} is {report.Gain:0.0} times as fast as the file's {report.FileType} here and predicts nearly the same");
        var variant = await services.Weights.FindAsync(weights, report.Type, cancellationToken);
        if (variant is null && options.MakesVariant)
        {
            await LogAsync(step, DeploymentStepState.Running, $"making the variant in {report.Type}");
            variant = await services.Weights.MakeAsync(weights, cancellationToken);
        }
        if (variant is null)
        {
            await LogAsync(step, DeploymentStepState.Done, $"{finding}; the variant can be made below");
            return weights;
        }
        await services.Files.RequireUnchangedAsync(variant, cancellationToken);
        await LogAsync(step, DeploymentStepState.Done, finding);
        return variant;
    }

    private ServingOptions Options(Deployment deployment, DeployedModel model, int threads)
    {
        var chosen = DeploymentOptions.Parse(deployment.OptionsJson);
        return new ServingOptions(services.Data.Resolve(model.Weights.Path))
        {
            Adapters = model.Adapter is null ? [] : [(DeployedModel.AdapterName, services.Data.Resolve(model.Adapter.Path))],
            ContextTokens = chosen.ContextTokens,
            Parallel = chosen.Parallel,
            Threads = threads,
        };
    }

    private async Task<ParityReport?> CompareAsync(Deployment deployment, DeployedModel model, ServingProcess engine, CancellationToken cancellationToken)
    {
        if (deployment.ParityJson is { } known && Json.Deserialize<ParityReport>(known) is { } earlier && earlier.Refusal() is null && IsOf(earlier, deployment, model))
        {
            await LogAsync("parity", DeploymentStepState.Done, "the same files agreed with the trainer before");
            return earlier;
        }
        if (WhyNotComparable(model) is { } reason)
        {
            await LogAsync("parity", DeploymentStepState.Skipped, reason);
            return null;
        }
        await LogAsync("parity", DeploymentStepState.Running, "comparing log-probabilities with the trainer's");
        var folder = Path.Combine(services.Data.Uploads, Guid.NewGuid().ToString("N"));
        try
        {
            var report = await services.Parity.RunAsync(engine, model.EngineAdapter, services.Data.Resolve(model.Weights.Path),
                model.Adapter?.AdapterPath is { } peft ? services.Data.Resolve(peft) : null, ParityRows(model), folder, cancellationToken);
            report = report with { WeightsSha256 = model.Weights.Sha256 };
            if (report.Refusal() is { } refusal)
            {
                await ChangeAsync(d => d.Fail(refusal, Json.Serialize(report), Now));
                throw new RefusedException(refusal);
            }
            await LogAsync("parity", DeploymentStepState.Done,
                $"log-probabilities of {report.Tokens} tokens differ from the trainer's by {report.MeanLogprobDifference:0.0000} on average, {report.MaxLogprobDifference:0.000} at most");
            return report;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static bool IsOf(ParityReport report, Deployment deployment, DeployedModel model) =>
        report.WeightsSha256 is { } compared ? compared == model.Weights.Sha256 : !DeploymentOptions.Parse(deployment.OptionsJson).MeasuresWeights;

    /// <summary>Without a trainer for these weights there is nothing to compare with; an adapter then has to be trusted as trained.</summary>
    private string? WhyNotComparable(DeployedModel model)
    {
        if (!services.Machine.CanTrain) return "there is no trainer on this machine to compare with (libtorch is missing)";
        using var weights = GgufFile.Open(services.Data.Resolve(model.Weights.Path));
        return GgufModel.Check(weights).Trainable is { Yes: false, Why: var why } ? $"the trainer cannot compute this model: {why}" : null;
    }

    /// <summary>What it was tuned on, else the samples that come with the platform.</summary>
    private IEnumerable<JsonNode> ParityRows(DeployedModel model)
    {
        var own = model.ParityData?.StorePath is { } store ? File.ReadLines(services.Data.Resolve(store)) : [];
        return own.Concat(File.ReadLines(Installation.SampleDataset)).Where(l => l.Length > 0).Select(l => JsonNode.Parse(l)!);
    }

    private async Task<TimeSpan?> LostAsync(string step, Error reason)
    {
        if (_restarts.AfterCrash() is not { } pause)
        {
            await FailAsync(step, reason);
            return null;
        }
        await ChangeAsync(d => d.Lose($"{reason.Message}; it is started again in {pause.TotalSeconds:0} s", Now));
        await LogAsync(step, DeploymentStepState.Failed, reason.Message);
        return pause;
    }

    private async Task FailAsync(string step, Error error)
    {
        await ChangeAsync(d => d.Fail(error, null, Now));
        await LogAsync(step, DeploymentStepState.Failed, $"{error.Message}; {error.Remedy}");
    }

    private DateTimeOffset Now => services.Time.GetUtcNow();

    // Not cancellable: what happened is written down even while it is being stopped.
    private async Task ChangeAsync(Action<Deployment> change)
    {
        await services.Database.WriteAsync(workspace, async db => change(await db.Deployments.SingleAsync(d => d.Id == id)), CancellationToken.None);
    }

    private async Task LogAsync(string step, DeploymentStepState state, string reason)
    {
        await services.Database.WriteAsync(workspace, db =>
        {
            db.DeploymentSteps.Add(new DeploymentStep(workspace, id, step, state, reason, Now));
            return Task.CompletedTask;
        }, CancellationToken.None);
    }
}
