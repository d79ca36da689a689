using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Hosting;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.Deployments;

/// <summary>
/// For a deployment whose type of weights is left to measurement: which type is best on this machine, and the version of the model that has it.
/// A variant is a model version of its own, made from the one that was deployed; every deployment of that one finds it.
/// </summary>
public sealed class ChooseWeights(PlatformDatabase database, DataDirectory data, CoreSharing cores, TimeProvider time)
{
    /// <summary>What was found for weights before; null if they were not measured.</summary>
    public WeightTypeReport? Known(ModelVersion weights) => WeightTypeReport.Read(ReportPath(weights));

    /// <exception cref="RefusedException">The measurement failed, with its own reason.</exception>
    public Task<WeightTypeReport> MeasureAsync(ModelVersion weights, CancellationToken cancellationToken) => RunAsync(weights, null, cancellationToken);

    /// <summary>The variant of that type, if somebody has made it.</summary>
    public async Task<ModelVersion?> FindAsync(ModelVersion weights, string type, CancellationToken cancellationToken)
    {
        await using var db = database.Open(weights.WorkspaceId);
        var made = await db.ModelVersions.AsNoTracking().Where(v => v.BaseVersionId == weights.Id && v.Kind == weights.Kind && v.FineTuneRunId == weights.FineTuneRunId).ToListAsync(cancellationToken);
        return made.Find(v => Path.GetFileNameWithoutExtension(v.Path) == type);
    }

    /// <summary>Makes the variant of the chosen type and stores it beside what it was made from; null if by now, with other threads, the file's own type is the best.</summary>
    public async Task<ModelVersion?> MakeAsync(ModelVersion weights, CancellationToken cancellationToken)
    {
        var id = ModelVersionId.New();
        var folder = Path.Combine(data.Models, id.ToString());
        try
        {
            var report = await RunAsync(weights, folder, cancellationToken);
            if (report.IsFileType) return null;
            var path = Path.Combine(folder, $"{report.Type}.gguf");
            File.Move(Directory.GetFiles(folder, "*.gguf").Single(), path);
            var inspection = await Task.Run(() => ModelInspector.Inspect(path), cancellationToken);
            string sha256;
            await using (var file = File.OpenRead(path)) sha256 = Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken));
            return await database.WriteAsync(weights.WorkspaceId, async db =>
            {
                var number = await db.ModelVersions.Where(v => v.ModelId == weights.ModelId).MaxAsync(v => v.Number, cancellationToken);
                var version = new ModelVersion(id, weights.WorkspaceId, weights.ModelId, number + 1, weights.Kind, data.Relative(path), sha256, new FileInfo(path).Length, time.GetUtcNow())
                {
                    Architecture = weights.Architecture,
                    Parameters = weights.Parameters,
                    InspectionJson = Json.Serialize(inspection),
                    BaseVersionId = weights.Id,
                    FineTuneRunId = weights.FineTuneRunId,
                };
                db.ModelVersions.Add(version);
                return version;
            }, cancellationToken);
        }
        catch
        {
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
            throw;
        }
    }

    private async Task<WeightTypeReport> RunAsync(ModelVersion weights, string? folder, CancellationToken cancellationToken)
    {
        if (folder is not null || Known(weights) is null) data.RequireSpace(2 * weights.SizeBytes);         // each candidate is made, measured and deleted
        Directory.CreateDirectory(data.WeightTypes);
        var report = ReportPath(weights);
        List<string> words = ["quantize", data.Resolve(weights.Path), "--types", "auto", "--threads", $"{cores.ServingThreads}", "--cache", data.WeightTypes, "--json", report, "--parent-pipe"];
        if (folder is not null) words.AddRange(["--out", folder]);
        await using var child = ChildProcess.Start(ChildProgram.Sibling("Serving", words) with { Priority = Priority.Serving }, time);
        await foreach (var _ in child.LinesAsync(cancellationToken))
        {
            // The report comes in the file.
        }
        var exit = await child.Exited.WaitAsync(cancellationToken);
        if (exit.Code != 0) throw new RefusedException("weights-not-measured", $"the types of weights could not be measured: {exit.Reason} {exit.Stderr}".Trim(), "deploy the weights as they are in the file");
        return WeightTypeReport.Read(report) ?? throw new RefusedException("weights-not-measured", "the measurement left no report", "deploy the weights as they are in the file");
    }

    private string ReportPath(ModelVersion weights) => Path.Combine(data.WeightTypes, $"{weights.Sha256}.json");
}
