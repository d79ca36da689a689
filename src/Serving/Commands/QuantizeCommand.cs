using System.Text.Json;
using TokenMill.Serving.Host;
using TokenMill.Serving.Quantization;
using TokenMill.Shared;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Commands;

/// <summary><c>quantize</c>: what a model loses in precision and wins in speed with each type of weights.</summary>
internal static class QuantizeCommand
{
    private const int DefaultScoredTokens = 1_024;

    public static Command Command { get; } = new("quantize",
        "quantize MODEL --types auto|Q8_0,Q6_K,Q4_K_M,Q4_0 --data D.jsonl [--tokens 1024] [--out DIR] [--cache DIR] [--threads N] [--json [F]] [--html F] [--parent-pipe]", RunAsync);

    private static async Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        if (!arguments.Flag("--parent-pipe")) return await QuantizeAsync(arguments, cancellationToken);
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _ = ParentPipe.ClosedAsync(stopping.Token).ContinueWith(_ => stopping.Cancel(), TaskScheduler.Default);
        try
        {
            return await QuantizeAsync(arguments, stopping.Token);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            return CommandLineHost.Interrupted;
        }
    }

    private static async Task<int> QuantizeAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var named = arguments.Required("--types");
        var types = named == "auto" ? [] : Types(named);
        var data = types.Length == 0 ? arguments.Option("--data") ?? Installation.SampleDataset : arguments.Required("--data");
        var tokens = arguments.Int("--tokens") ?? DefaultScoredTokens;
        var threads = arguments.Int("--threads") ?? Environment.ProcessorCount;
        if (tokens < 1 || threads < 1) throw new UsageException("--tokens and --threads are at least 1");
        var folder = arguments.Option("--out");
        var cache = arguments.Option("--cache") ?? WeightTypeTrial.CacheFolder;
        var html = arguments.Option("--html");
        var given = arguments.Positional("MODEL");
        var json = arguments.Json();
        arguments.End();

        var path = await ModelPath.ResolveAsync(given, cancellationToken);
        ModelPath.Require(path);
        if (types.Length == 0) return await ChooseAsync(new WeightTypeTrial(path, data, threads, cache, Console.Error.WriteLine), path, folder, json, cancellationToken);
        var temporary = folder is null ? Directory.CreateTempSubdirectory("tokenmill-quantize-").FullName : null;
        try
        {
            var trial = new PrecisionTrial(path, data, folder ?? temporary!, keep: folder is not null, tokens, threads, Console.Error.WriteLine);
            var report = await trial.RunAsync(types, cancellationToken);
            if (!string.IsNullOrEmpty(json)) Write(json, JsonSerializer.Serialize(report, Json.Indented));
            if (html is not null) Write(html, PrecisionPage.Of(report));
            await Console.Out.WriteAsync(json == "" ? Json.Serialize(report) + "\n" : report.ToText());
            return CommandLineHost.Done;
        }
        finally
        {
            if (temporary is not null) Directory.Delete(temporary, recursive: true);
        }
    }

    /// <summary>The type that serves the model best on this machine, and with a folder the file of that type.</summary>
    private static async Task<int> ChooseAsync(WeightTypeTrial trial, string path, string? folder, string? json, CancellationToken cancellationToken)
    {
        var choice = await trial.ChooseAsync(cancellationToken);
        string? kept = null;
        if (folder is not null && !choice.IsFileType)
        {
            Directory.CreateDirectory(folder);
            kept = Path.Combine(folder, $"{Path.GetFileNameWithoutExtension(path)}-{choice.Type}.gguf");
            trial.Write(choice, kept);
        }
        var result = new { choice.FileType, choice.Type, choice.Gain, choice.Why, choice.Report, Path = kept };
        if (!string.IsNullOrEmpty(json)) Write(json, JsonSerializer.Serialize(result, Json.Indented));
        await Console.Out.WriteLineAsync(json == "" ? Json.Serialize(result) : $"{choice.Report?.ToText()}{choice.Type}: {choice.Why}");
        return CommandLineHost.Done;
    }

    private static string[] Types(string list)
    {
        var types = list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(t => t.ToUpperInvariant()).Distinct().ToArray();
        if (types.Length == 0) throw new UsageException("--types names at least one type");
        return Array.Find(types, t => !LlamaQuantization.Knows(t)) is { } unknown
            ? throw new UsageException($"--types knows no '{unknown}'; take {string.Join(", ", LlamaQuantization.Types)}")
            : types;
    }

    private static void Write(string path, string text) => AtomicFile.Write(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));
}
