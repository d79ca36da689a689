using System.Globalization;
using System.Text.Json.Nodes;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Torch;

namespace TokenMill.Benchmarks;

/// <summary>One kind of work for both trainers. <c>FullRows</c>: random tokens, all supervised, instead of the data.</summary>
internal sealed record TrainingCase(string Name, string Type, int Batch, int MaxLength, bool FullRows, double Faster, double Smaller)
{
    public static IReadOnlyList<TrainingCase> All { get; } =
    [
        new("useful-bf16", "bfloat16", 8, 512, false, 4, 0.4),
        new("useful-fp32", "float32", 8, 512, false, 2.5, 0.4),
        new("full-bf16", "bfloat16", 4, 512, true, 2.2, 0.5),
    ];
}

/// <summary>
/// The trainer beside Hugging Face + PEFT on the same rows, in turns, so that a machine that changes its speed changes it for both:
/// LoRA r 8 on all linear layers, one optimizer step per batch. Medians, their ratios, and what the machine's own products would allow.
/// </summary>
internal static class TrainingPairs
{
    private const double MflopPerToken = 533;               // SmolLM2-135M with LoRA: layers forward and back, the head where supervised
    private const int Rank = 8;

    public static async Task RunAsync(string model, string data, int pairs, int steps, string[]? names, string folder)
    {
        Console.WriteLine($"{pairs} pairs of {steps} steps each; medians, [least … most]");
        foreach (var work in TrainingCase.All.Where(work => names is null || names.Contains(work.Name))) await CompareAsync(work, model, data, pairs, steps, folder);
    }

    private static async Task CompareAsync(TrainingCase work, string model, string data, int pairs, int steps, string folder)
    {
        var rows = Path.Combine(folder, $"{work.Name}.jsonl");
        await File.WriteAllLinesAsync(rows, work.FullRows ? RandomRows(work, steps) : File.ReadLines(data).Take(steps * work.Batch));
        var (ours, theirs, products) = (new List<Measured>(), new List<Measured>(), new List<double>());
        var type = work.Type == "bfloat16" ? NumberFormat.BFloat16 : NumberFormat.Float32;
        for (var pair = 0; pair < pairs; pair++)
        {
            products.Add(ProductProbe.Measure(type == NumberFormat.BFloat16 ? TensorType.BFloat16 : TensorType.Float32));
            ours.Add(await TrainerProcessRun.RunAsync(Spec(work, type, model, rows, Path.Combine(folder, $"{work.Name}-{pair}"), steps)));
            theirs.Add(await HuggingFacePeer.RunAsync(model, rows, work, steps));
            Console.Error.WriteLine(Invariant($"{work.Name} {pair + 1}: {ours[^1].TokensPerSecond:0} against {theirs[^1].TokensPerSecond:0} tokens/s, {ours[^1].PeakBytes / 1e9:0.00} against {theirs[^1].PeakBytes / 1e9:0.00} GB, products {products[^1]:0} GFLOP/s, load {Machine.Load()}"));
        }

        var product = Median.Of(products);
        var (our, their) = (Median.Of(ours.Select(m => m.TokensPerSecond)), Median.Of(theirs.Select(m => m.TokensPerSecond)));
        var (ourBytes, theirBytes) = (Median.Of(ours.Select(m => m.PeakBytes)), Median.Of(theirs.Select(m => m.PeakBytes)));
        Console.WriteLine();
        Console.WriteLine(Invariant($"{work.Name,-14}{"TokenMill",22}{"HF + PEFT",22}{"ratio",8}  wanted"));
        Console.WriteLine(Invariant($"  tokens/s    {Spread(ours.Select(m => m.TokensPerSecond)),22}{Spread(theirs.Select(m => m.TokensPerSecond)),22}{our / their,8:0.00}  ≥ {work.Faster}"));
        Console.WriteLine(Invariant($"  peak GB     {ourBytes / 1e9,22:0.00}{theirBytes / 1e9,22:0.00}{ourBytes / theirBytes,8:0.00}  ≤ {work.Smaller}"));
        Console.WriteLine(Invariant($"  of the products' {product:0} GFLOP/s: {our * MflopPerToken / product / 1e3,0:P0} and {their * MflopPerToken / product / 1e3:P0}"));
    }

    private static FineTuneSpec Spec(TrainingCase work, NumberFormat type, string model, string rows, string output, int steps) => new()
    {
        Model = JsonValue.Create(model), Output = output, Dtype = type,
        Data = [new DataSpec { Path = rows, Format = work.FullRows ? "tokens" : "auto" }],
        Adapter = new AdapterSpec { Rank = Rank, Alpha = 2 * Rank },
        MaxLength = work.MaxLength, BatchSize = work.Batch, Accumulation = 1, MaxSteps = steps,
        Optimizer = new OptimizerSpec { LearningRate = 2e-4 }, Schedule = new ScheduleSpec { Name = "constant" },
        Checkpoint = new CheckpointSpec { EverySeconds = 3600 }, Export = [],
    };

    private static IEnumerable<string> RandomRows(TrainingCase work, int steps)
    {
        const int vocabulary = 49152;
        var random = new Random(0);
        for (var row = 0; row < steps * work.Batch; row++)
        {
            var ids = string.Join(',', Enumerable.Range(0, work.MaxLength).Select(_ => random.Next(vocabulary)));
            yield return $$"""{"ids":[{{ids}}],"labels":[{{ids}}]}""";
        }
    }

    private static string Spread(IEnumerable<double> values) => values.ToList() is var list ? Invariant($"{Median.Of(list):0} [{list.Min():0} … {list.Max():0}]") : "";

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
