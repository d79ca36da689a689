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
/// Finds the type of weights that serves a model best on this machine, by making the candidates one after the other and measuring them beside the file itself.
/// What was found is remembered by machine, threads and content of the file: the next start takes a moment.
/// </summary>
/// <param name="folder">Where that is remembered, and where the candidates are made meanwhile.</param>
internal sealed class WeightTypeTrial(string modelPath, string dataPath, int threads, string folder, Action<string> progress)
{
    private const int ScoredTokens = 512;

    /// <summary>What llama.cpp rearranges for wide vector units when it loads: for the others there is nothing to win.</summary>
    private static readonly string[] Candidates = ["Q8_0", "Q4_0"];

    private string? _hash;

    /// <summary>The user's own.</summary>
    public static string CacheFolder => Path.Combine(Installation.Cache, "weight-types");

    public async Task<WeightTypeChoice> ChooseAsync(CancellationToken cancellationToken)
    {
        var (fileType, candidates) = Look();
        if (candidates.Count == 0) return new WeightTypeChoice(fileType, fileType, 1, $"the file's {fileType} is as fast as any", null);

        CpuPlugin.Load();
        var machine = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{CpuPlugin.Fingerprint} {threads} {Hash()}")));
        var known = Path.Combine(folder, $"{machine}.json");
        if (Read(known) is { } remembered) return remembered;
        var choice = await MeasureAsync(fileType, candidates, cancellationToken);
        AtomicFile.Write(known, stream => stream.Write(Encoding.UTF8.GetBytes(Json.Serialize(choice))));
        return choice;
    }

    /// <summary>The file, or the variant of the chosen type: from the folder, or made again if somebody has emptied it.</summary>
    public string Weights(WeightTypeChoice choice)
    {
        if (choice.IsFileType) return modelPath;
        var path = Path.Combine(folder, "variants", Hash(), choice.Type, Path.GetFileName(modelPath));      // a model is called by its file's name
        if (File.Exists(path)) return path;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        Write(choice, path);
        return path;
    }

    public void Write(WeightTypeChoice choice, string path)
    {
        progress($"{choice.Type}: writing");
        PrecisionTrial.Write(modelPath, path, choice.Type, threads);
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

    private async Task<WeightTypeChoice> MeasureAsync(string fileType, IReadOnlyList<string> candidates, CancellationToken cancellationToken)
    {
        using var work = TrialFolder.Create(folder);
        var report = await new PrecisionTrial(modelPath, dataPath, work.Path, keep: false, ScoredTokens, threads, progress).RunAsync(candidates, cancellationToken);
        return WeightTypeChoice.Of(fileType, report with { Original = report.Original with { Path = null } });          // where the file was is of no use to anybody
    }

    private string Hash()
    {
        if (_hash is not null) return _hash;
        using var file = File.OpenRead(modelPath);
        return _hash = Convert.ToHexStringLower(SHA256.HashData(file));
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
