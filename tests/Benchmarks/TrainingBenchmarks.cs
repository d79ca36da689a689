using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;

namespace TokenMill.Benchmarks;

/// <summary>The words of <c>bench train</c>.</summary>
internal static class TrainingBenchmarks
{
    public const string Usage = """
        usage: train [pairs] [--pairs 5] [--steps 12] [--cases useful-bf16,useful-fp32,full-bf16] [--model M.gguf] [--data D.jsonl]
                                                                  the trainer beside Hugging Face + PEFT, in turns
        """;

    public static async Task<int> RunAsync(Arguments arguments)
    {
        var model = Path.GetFullPath(arguments.Option("--model") ?? "../shared/models/SmolLM2-135M-Instruct-Q4_1.gguf");
        var data = Path.GetFullPath(arguments.Option("--data") ?? "../shared/datasets/foldoc-train.jsonl");
        var pairs = arguments.Int("--pairs") ?? 5;
        var steps = arguments.Int("--steps") ?? 12;
        var cases = arguments.Option("--cases")?.Split(',');
        var what = arguments.HasPositional ? arguments.Positional("WHAT") : "pairs";
        arguments.End();
        var folder = Directory.CreateTempSubdirectory("tokenmill-bench-").FullName;
        try
        {
            Console.WriteLine(Machine.Describe());
            await (what switch
            {
                "pairs" => TrainingPairs.RunAsync(model, data, pairs, steps, cases, folder),
                _ => throw new UsageException($"'{what}' is no benchmark of training"),
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
}
