using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>What must hold before a trainer is started; each reason comes with its remedy.</summary>
public sealed class RunPreflight(PlatformDatabase database, RunFolders folders, ITrainer trainer)
{
    private const long DiskReserveBytes = 512L << 20;

    /// <summary>Why fine-tuning is impossible on this machine now, or null.</summary>
    public Error? WhyNotHere()
    {
        if (trainer.WhyMissing() is { } missing) return missing;
        var free = MachineFacts.FreeDiskBytes(folders.Root);
        return free >= DiskReserveBytes ? null : new Error("disk-full", $"The data directory has {free >> 20} MB left; a run needs at least {DiskReserveBytes >> 20} MB for its checkpoints",
            "free some space or move the data directory, then resume");
    }

    public async Task<Error?> CheckAsync(FineTuneRun run, CancellationToken cancellationToken)
    {
        if (WhyNotHere() is { } missing) return missing;
        await using var db = database.Open(run.WorkspaceId);
        var model = await db.ModelVersions.AsNoTracking().FirstAsync(v => v.Id == run.BaseVersionId, cancellationToken);
        var data = await db.DatasetVersions.AsNoTracking().FirstAsync(v => v.Id == run.DatasetVersionId, cancellationToken);
        if (await ChangedAsync(folders.Absolute(model.Path), model.Sha256, cancellationToken))
            return new Error("model-changed", "The base model's file is gone or not the file that was imported", "import the model again and start a new run with it");
        if (data.StorePath is null || await ChangedAsync(folders.Absolute(data.StorePath), data.Sha256, cancellationToken))
            return new Error("dataset-changed", "The dataset's file is gone or not the one that was imported", "import the dataset again and start a new run with it");
        return null;
    }

    private static async Task<bool> ChangedAsync(string path, string? sha256, CancellationToken cancellationToken)
    {
        if (!File.Exists(path)) return true;
        await using var file = File.OpenRead(path);
        return !string.Equals(Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken)), sha256, StringComparison.OrdinalIgnoreCase);
    }
}
