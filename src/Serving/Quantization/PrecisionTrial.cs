using TokenMill.Serving.Host;
using TokenMill.Serving.Llama;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Quantization;

/// <summary>Makes the variants of a model one after the other, loads each into the engine that would serve it, and measures it against the original.</summary>
/// <param name="folder">Where the variants are made.</param>
/// <param name="keep">Whether they stay there.</param>
/// <param name="progress">Told each step in words.</param>
internal sealed class PrecisionTrial(string modelPath, string dataPath, string folder, bool keep, int scoredTokens, int threads, Action<string> progress)
{
    private const int LongestExample = 2048, PromptTokens = 256, AnswerTokens = 64;

    private int _context;

    public async Task<PrecisionReport> RunAsync(IReadOnlyList<string> types, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        using var distributions = new OriginalDistributions(Path.Combine(folder, $"original.{Guid.NewGuid():N}.tmp"));
        var (examples, prompt, original) = await OriginalAsync(distributions, cancellationToken);
        var variants = new List<MeasuredVariant>();
        foreach (var type in types)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var path = Path.Combine(folder, $"{Path.GetFileNameWithoutExtension(modelPath)}-{type}.gguf");
            try
            {
                progress($"{type}: writing");
                Write(modelPath, path, type, threads);
                using var model = Load(path);
                variants.Add(await MeasureAsync(model, type, keep ? path : null, path, new PrecisionScoring(distributions, isOriginal: false), examples, prompt, cancellationToken));
            }
            finally
            {
                if (!keep) File.Delete(path);
            }
        }
        return new PrecisionReport(Path.GetFileName(modelPath), Path.GetFileName(dataPath), examples.Count, examples.Sum(e => e.SupervisedTokens), threads, original, variants);
    }

    private async Task<(List<EncodedExample> Examples, int[] Prompt, MeasuredVariant Measured)> OriginalAsync(OriginalDistributions distributions, CancellationToken cancellationToken)
    {
        using (var file = Shared.Formats.Gguf.GgufFile.Open(modelPath))
        {
            var longest = file.Metadata.TryUInt32($"{file.Metadata.String("general.architecture")}.context_length") ?? LongestExample;
            _context = (int)Math.Min(longest, LongestExample);
        }
        using var model = Load(modelPath);
        var examples = PrecisionTexts.Read(dataPath, model, scoredTokens, _context, cancellationToken);
        int[] tokens = [.. examples.SelectMany(e => e.Ids).Take(Math.Min(PromptTokens, _context / 2))];
        return (examples, tokens, await MeasureAsync(model, "original", modelPath, modelPath, new PrecisionScoring(distributions, isOriginal: true), examples, tokens, cancellationToken));
    }

    private ServedModel Load(string path) => ServedModel.Load(path, [], new LlamaExecutorOptions { ContextTokens = _context, MaxRunning = 1, Threads = threads });

    /// <summary>Written beside its name first, so that what has the name is whole.</summary>
    public static void Write(string modelPath, string path, string type, int threads)
    {
        var draft = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            LlamaQuantization.Quantize(modelPath, draft, type, threads);
            File.Move(draft, path, overwrite: true);
        }
        finally
        {
            File.Delete(draft);
        }
    }

    private async Task<MeasuredVariant> MeasureAsync(ServedModel model, string type, string? keptPath, string path, PrecisionScoring scoring, List<EncodedExample> examples, int[] prompt, CancellationToken cancellationToken)
    {
        var quarters = 0;
        var precision = await scoring.RunAsync(model, examples, share =>
        {
            if ((int)(share * 4) == quarters) return;
            quarters = (int)(share * 4);
            progress($"{type}: {share:P0} of {examples.Count:N0} examples scored");
        }, cancellationToken);
        progress($"{type}: measuring speed");
        var speed = await EngineSpeed.MeasureAsync(model, prompt, Math.Min(AnswerTokens, _context - prompt.Length - 1), cancellationToken);
        return new MeasuredVariant(type, keptPath, new FileInfo(path).Length, speed.TokensPerSecond, speed.PromptTokensPerSecond, precision.Perplexity, precision.KlDivergence, precision.Top1Agreement);
    }
}
