using System.Text.Json;
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
        "quantize MODEL --types Q8_0,Q6_K,Q4_K_M,Q4_0 --data D.jsonl [--tokens 1024] [--out DIR] [--threads N] [--json [F]] [--html F]", RunAsync);

    private static async Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var types = Types(arguments.Required("--types"));
        var data = arguments.Required("--data");
        var tokens = arguments.Int("--tokens") ?? DefaultScoredTokens;
        var threads = arguments.Int("--threads") ?? Environment.ProcessorCount;
        if (tokens < 1 || threads < 1) throw new UsageException("--tokens and --threads are at least 1");
        var folder = arguments.Option("--out");
        var html = arguments.Option("--html");
        var given = arguments.Positional("MODEL");
        var json = arguments.Json();
        arguments.End();

        var path = await ModelPath.ResolveAsync(given, cancellationToken);
        ModelPath.Require(path);
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
