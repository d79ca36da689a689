using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama;

namespace TokenMill.Benchmarks.Serving;

/// <summary>The words of <c>bench serving</c>. (<c>bench serve URL</c> is the load test that users have.)</summary>
internal static class ServingBenchmarks
{
    public static readonly string Usage = $"""
               serving [pairs] [--peer URL] [--cases {string.Join(',', ServingCase.All.Select(c => c.Name))}] [--pairs 3] [--type T] [--model M.gguf]
                                                                  our server beside llama-server (or the one at URL), in turns; --type: the same after quantisation
               serving engine [--type T]                          what a step costs outside libllama: time and garbage
        """;

    public static async Task<int> RunAsync(Arguments arguments)
    {
        var model = Path.GetFullPath(arguments.Option("--model") ?? "../shared/models/SmolLM2-135M-Instruct-Q4_1.gguf");
        var peer = arguments.Option("--peer") is { } url ? new Uri(url) : null;
        var pairs = arguments.Int("--pairs") ?? 3;
        var cases = arguments.Option("--cases")?.Split(',');
        var type = arguments.Option("--type");
        var what = arguments.HasPositional ? arguments.Positional("WHAT") : "pairs";
        arguments.End();
        var folder = Directory.CreateTempSubdirectory("tokenmill-bench-").FullName;
        try
        {
            if (type is not null) model = Quantized(model, type, folder);
            await (what switch
            {
                "pairs" => ServingPairs.RunAsync(model, peer, pairs, cases, folder),
                "engine" => EngineShare.RunAsync(model),
                _ => throw new UsageException($"'{what}' is no benchmark of serving"),
            });
            return 0;
        }
        catch (RefusedException e)
        {
            Console.Error.WriteLine($"error: {e.Error}");
            return 1;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static string Quantized(string model, string type, string folder)
    {
        var path = Path.Combine(folder, $"{Path.GetFileNameWithoutExtension(model)}-{type}.gguf");
        LlamaQuantization.Quantize(model, path, type, Environment.ProcessorCount);
        return path;
    }
}
