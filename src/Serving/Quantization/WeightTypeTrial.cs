using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using TokenMill.Serving.Llama;
using TokenMill.Shared;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Quantization;

/// <summary>
/// Finds the type of weights that serves a model best on this machine, by making the candidates and measuring them beside the file itself.
/// What was found is remembered by machine, threads and content of the file, and so is the variant that was chosen: the next start takes a moment.
/// </summary>
internal sealed class WeightTypeTrial(string modelPath, string dataPath, int threads, string cacheFolder, Action<string> progress)
{
    private const int ScoredTokens = 512;

    /// <summary>What llama.cpp rearranges for wide vector units when it loads: for the others there is nothing to win.</summary>
    private static readonly string[] Candidates = ["Q8_0", "Q4_0"];

    /// <returns>The choice, and the file that holds those weights: the given one, or a variant in the cache folder.</returns>
    public async Task<(WeightTypeChoice Choice, string Path)> RunAsync(CancellationToken cancellationToken)
    {
        var (fileType, candidates) = Look();
        if (candidates.Count == 0) return (new WeightTypeChoice(fileType, fileType, 1, $"the file's {fileType} is as fast as any", null), modelPath);

        var hash = Hash();
        CpuPlugin.Load();
        var machine = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{CpuPlugin.Fingerprint} {threads} {hash}")));
        var (folder, known) = (Path.Combine(cacheFolder, "variants", hash), Path.Combine(cacheFolder, "weight-types", $"{machine}.json"));
        var choice = Read(known);
        if (choice is null)
        {
            choice = await MeasureAsync(fileType, candidates, folder, cancellationToken);
            AtomicFile.Write(known, stream => stream.Write(Encoding.UTF8.GetBytes(Json.Serialize(choice))));
        }
        return (choice, choice.IsFileType ? modelPath : Variant(folder, choice.Type));
    }

    /// <summary>The type of most of the file's weights, and what may be better: never fewer bits made from few, nor more bits from what has lost them already.</summary>
    private (string FileType, IReadOnlyList<string> Candidates) Look()
    {
        using var file = GgufFile.Open(modelPath);
        GgufModel.Check(file);
        var own = file.Tensors.Where(t => t.Dimensions.Count > 1).GroupBy(t => t.Type).MaxBy(g => g.Sum(t => t.SizeBytes))?.Key ?? GgufType.F32;
        return (own.ToString(), own switch
        {
            GgufType.Q4_0 => [],
            GgufType.Q8_0 => ["Q4_0"],
            _ => Candidates,
        });
    }

    private async Task<WeightTypeChoice> MeasureAsync(string fileType, IReadOnlyList<string> candidates, string folder, CancellationToken cancellationToken)
    {
        using var work = TrialFolder.Create(cacheFolder);
        var report = await new PrecisionTrial(modelPath, dataPath, work.Path, keep: true, ScoredTokens, threads, progress).RunAsync(candidates, cancellationToken);
        var choice = WeightTypeChoice.Of(fileType, report);
        if (report.Variants.FirstOrDefault(v => v.Type == choice.Type)?.Path is { } made)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(VariantPath(folder, choice.Type))!);
            File.Move(made, VariantPath(folder, choice.Type), overwrite: true);
        }
        // Where the files were is of no use to anybody.
        return choice with { Report = report with { Original = report.Original with { Path = null }, Variants = [.. report.Variants.Select(v => v with { Path = null })] } };
    }

    /// <summary>From the cache, or made again if somebody has emptied it.</summary>
    private string Variant(string folder, string type)
    {
        var path = VariantPath(folder, type);
        if (File.Exists(path)) return path;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        progress($"{type}: writing");
        PrecisionTrial.Write(modelPath, path, type, threads);
        return path;
    }

    /// <summary>A model is called by its file's name, so the variant has the same.</summary>
    private string VariantPath(string folder, string type) => Path.Combine(folder, type, Path.GetFileName(modelPath));

    private string Hash()
    {
        using var file = File.OpenRead(modelPath);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    private static WeightTypeChoice? Read(string path)
    {
        try
        {
            return File.Exists(path) ? Json.Deserialize<WeightTypeChoice>(File.ReadAllText(path)) : null;
        }
        catch (JsonException)
        {
            return null;                                       // written by another version: measured anew
        }
    }
}
