using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;

namespace TokenMill.Benchmarks;

/// <summary>The words of <c>bench train</c>.</summary>
internal static class TrainingBenchmarks
{
    public const string Usage = """
        usage: train [pairs] [--pairs 5] [--steps 12] [--cases useful-bf16,useful-fp32,full-bf16] [--model M.gguf] [--data D.jsonl]
                                                                  the trainer beside Hugging Face + PEFT, in turns
               train growth [--cases length,batch,rank,adapter,rows] [--steps 6]
                                                                  how speed and memory grow
               train one-billion [--type Q4_0] [--steps 2]        QLoRA of a 1B shape with random weights
        """;

    public static async Task<int> RunAsync(Arguments arguments)
    {
        var model = Path.GetFullPath(arguments.Option("--model") ?? "../shared/models/SmolLM2-135M-Instruct-Q4_1.gguf");
        var data = Path.GetFullPath(arguments.Option("--data") ?? "../shared/datasets/foldoc-train.jsonl");
        var pairs = arguments.Int("--pairs") ?? 5;
        var steps = arguments.Int("--steps");
        var type = arguments.Option("--type") ?? "Q4_0";
        var cases = arguments.Option("--cases")?.Split(',');
        var what = arguments.HasPositional ? arguments.Positional("WHAT") : "pairs";
        arguments.End();
        var folder = Directory.CreateTempSubdirectory("tokenmill-bench-").FullName;
        try
        {
            Console.WriteLine(Machine.Describe());
            await (what switch
            {
                "pairs" => TrainingPairs.RunAsync(model, data, pairs, steps ?? 12, cases, folder),
                "growth" => TrainingGrowth.RunAsync(model, data, steps ?? 6, cases, folder),
                "one-billion" => OneBillion.RunAsync(model, type, steps ?? 2, folder),
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
