using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Hosting;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>What must hold before a trainer is started; each reason comes with its remedy.</summary>
public sealed class RunPreflight(PlatformDatabase database, DataDirectory directory, ITrainer trainer, PlanFineTune planning, RunFolders folders)
{
    /// <summary>What a run may write before it is noticed, beside the reserve that the data directory keeps.</summary>
    private const long CheckpointBytes = 256L << 20;

    /// <summary>Why fine-tuning is impossible on this machine now, or null.</summary>
    public Error? WhyNotHere()
    {
        if (trainer.WhyMissing() is { } missing) return missing;
        try
        {
            directory.RequireSpace(CheckpointBytes);
            return null;
        }
        catch (RefusedException e)
        {
            return e.Error;
        }
    }

    public async Task<Error?> CheckAsync(FineTuneRun run, CancellationToken cancellationToken)
    {
        if (WhyNotHere() is { } missing) return missing;
        await using var db = database.Open(run.WorkspaceId);
        var model = await db.ModelVersions.AsNoTracking().FirstAsync(v => v.Id == run.BaseVersionId, cancellationToken);
        var data = await db.DatasetVersions.AsNoTracking().FirstAsync(v => v.Id == run.DatasetVersionId, cancellationToken);
        if (await ChangedAsync(directory.Resolve(model.Path), model.Sha256, cancellationToken))
            return new Error("model-changed", "The base model's file is gone or not the file that was imported", "import the model again and start a new run with it");
        if (data.StorePath is null || await ChangedAsync(directory.Resolve(data.StorePath), data.Sha256, cancellationToken))
            return new Error("dataset-changed", "The dataset's file is gone or not the one that was imported", "import the dataset again and start a new run with it");
        return folders.HasState(run.Id) ? null : await WhyNotFitsAsync(run, cancellationToken);
    }

    /// <summary>A run that goes on has shown that it fits. Where no forecast can be made, the trainer itself says why.</summary>
    private async Task<Error?> WhyNotFitsAsync(FineTuneRun run, CancellationToken cancellationToken)
    {
        if ((await planning.AskAsync(run.SpecJson, cancellationToken)).Value is not { Fits: false } plan) return null;
        var remedy = plan.Advice.Count > 0 ? string.Join("; or ", plan.Advice.Select(a => $"set {a.Field} from {a.From} to {a.To}")) : "free some memory, or choose a smaller model";
        return new Error("memory-too-small", $"The run needs about {plan.PeakMemoryBytes >> 20:N0} MiB of memory, and {plan.AvailableMemoryBytes >> 20:N0} MiB are free", remedy);
    }

    private static async Task<bool> ChangedAsync(string path, string? sha256, CancellationToken cancellationToken)
    {
        if (!File.Exists(path)) return true;
        await using var file = File.OpenRead(path);
        return !string.Equals(Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken)), sha256, StringComparison.OrdinalIgnoreCase);
    }
}
