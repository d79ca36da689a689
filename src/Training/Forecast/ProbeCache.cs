using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Models;
using TokenMill.Training.Torch.Native;

namespace TokenMill.Training.Forecast;

/// <summary>
/// Probes of this machine, kept in the user's cache folder: they hold for a processor, a build of the trainer, a shape of model and the
/// fields of a specification that change what a step does. Data and length of the run are not among them.
/// </summary>
internal sealed class ProbeCache(string folder)
{
    private const long MostProbedParameters = 250_000_000;
    private const int ShallowLayers = 1, MostLayers = 8;

    /// <summary>Both probes of a model.</summary>
    public sealed record Probes(ProbeResult Shallow, ProbeResult Deep);

    public static ProbeCache OfUser() => new(Path.Combine(Installation.Cache, "probes"));

    /// <summary>Null when this machine has not been probed for such a run.</summary>
    public Probes? Find(FineTuneSpec spec, ModelConfig config)
    {
        try
        {
            return Json.Deserialize<Probes>(File.ReadAllText(PathOf(spec, config)));
        }
        catch (Exception e) when (e is IOException or System.Text.Json.JsonException)
        {
            return null;                                    // absent, or of an earlier form: measured anew
        }
    }

    public async Task<Probes> MeasureAsync(FineTuneSpec spec, ModelConfig config, CancellationToken cancellationToken)
    {
        var perLayer = Math.Max(1, (config with { Layers = 1 }).Parameters - (config with { Layers = 0 }).Parameters);
        var deep = Math.Min(config.Layers, (int)Math.Clamp(MostProbedParameters / perLayer, ShallowLayers + 1, MostLayers));
        var probes = new Probes(await RunAsync(spec, ShallowLayers, cancellationToken), await RunAsync(spec, deep, cancellationToken));
        Directory.CreateDirectory(folder);
        AtomicFile.Write(PathOf(spec, config), stream => stream.Write(Encoding.UTF8.GetBytes(Json.Serialize(probes))));
        return probes;
    }

    private string PathOf(FineTuneSpec spec, ModelConfig config)
    {
        // What has no bearing on the cost of a step is taken out; whatever is added to a specification counts until it is taken out too.
        var relevant = JsonNode.Parse(Json.Serialize(spec))!.AsObject();
        foreach (var name in new[] { "version", "output", "max_length", "data", "validation", "overflow", "packing", "shuffle", "batch_size", "accumulation", "epochs", "max_steps", "schedule", "clip", "seed", "beta", "label_smoothing", "train_on", "checkpoint", "evaluate_every", "keep_best", "early_stopping", "samples", "export" })
            relevant.Remove(name);
        relevant["optimizer"] = spec.Optimizer.Name;
        relevant["adapter"]!.AsObject().Remove("alpha");
        var library = new FileInfo(TorchLibrary.LibraryPath);
        var key = $"{Processor()} {Environment.ProcessorCount} {typeof(ProbeCache).Module.ModuleVersionId} {(library.Exists ? library.LastWriteTimeUtc.Ticks : 0)} {config} {relevant.ToJsonString()}";
        return Path.Combine(folder, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)))[..32] + ".json");
    }

    private static string Processor() => File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal)) ?? "";

    private static async Task<ProbeResult> RunAsync(FineTuneSpec spec, int layers, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(ProbeCache).Assembly.Location, "probe", "--layers", $"{layers}"])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        using var child = Process.Start(start)!;
        await using var killed = cancellationToken.Register(child.Kill);
        var error = child.StandardError.ReadToEndAsync(cancellationToken);
        await child.StandardInput.WriteAsync(Json.Serialize(spec).AsMemory(), cancellationToken);
        child.StandardInput.Close();
        var answer = await child.StandardOutput.ReadToEndAsync(cancellationToken);
        await child.WaitForExitAsync(cancellationToken);
        if (child.ExitCode != 0) throw new RefusedException("probe-failed", $"a trial of {layers} of the model's layers failed: {(await error).Trim().Split('\n')[^1]}", "train with other settings, or see what ./run train says");
        return Json.Deserialize<ProbeResult>(answer);
    }
}
