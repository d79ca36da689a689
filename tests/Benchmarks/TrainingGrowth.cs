using System.Globalization;
using System.Text.Json.Nodes;
using TokenMill.Shared.Jobs;

namespace TokenMill.Benchmarks;

/// <summary>How tokens per second and peak memory grow: with the length of rows, examples a step, rank and rows of data.</summary>
internal static class TrainingGrowth
{
    private const int Vocabulary = 49152;

    public static async Task RunAsync(string model, string data, int steps, string[]? names, string folder)
    {
        bool Wanted(string name) => names is null || names.Contains(name);
        async Task Row(string name, FineTuneSpec spec)
        {
            var measured = await TrainerProcessRun.RunAsync(spec with { Model = JsonValue.Create(model), Output = Path.Combine(folder, Guid.NewGuid().ToString("N")) });
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-44}{measured.TokensPerSecond,10:0}{measured.PeakBytes / 1e9,10:0.00}{measured.DataSeconds,10:0.0}"));
        }

        Console.WriteLine($"{"",-44}{"tokens/s",10}{"peak GB",10}{"data s",10}");
        if (Wanted("length"))
            foreach (var length in new[] { 256, 512, 1024, 2048, 4096, 8192 })
                foreach (var checkpointing in length < 2048 ? new[] { false } : [false, true])
                    await Row($"rows of {length}{(checkpointing ? ", activation checkpointing" : "")}", Spec(RandomRows(folder, length, steps), steps, "tokens") with { MaxLength = length, BatchSize = 1, ActivationCheckpointing = checkpointing });
        if (Wanted("batch"))
            foreach (var batch in new[] { 1, 2, 4, 8, 16, 32 }) await Row($"{batch} examples a step", Spec(data, steps) with { BatchSize = batch });
        if (Wanted("rank"))
            foreach (var rank in new[] { 4, 8, 16, 64, 256 }) await Row($"rank {rank}", Spec(data, steps) with { Adapter = new AdapterSpec { Rank = rank, Alpha = 2 * rank } });
        if (Wanted("adapter"))
            foreach (var adapter in new[] { "lora", "dora", "qlora" }) await Row($"adapter {adapter}", Spec(data, steps) with { Adapter = new AdapterSpec { Type = adapter, Rank = 8, Alpha = 16 } });
        if (Wanted("rows"))
            foreach (var rows in new[] { 100, 1_000, 10_000, 100_000, 1_000_000 })
                await Row($"{rows:N0} rows of data", Spec(Repeated(folder, data, rows), steps));
    }

    private static FineTuneSpec Spec(string data, int steps, string format = "auto") => new()
    {
        Model = "", Output = "", Data = [new DataSpec { Path = data, Format = format }], Dtype = NumberFormat.Auto,
        Adapter = new AdapterSpec { Rank = 8, Alpha = 16 }, MaxLength = 512, BatchSize = 8, Accumulation = 1, MaxSteps = steps,
        Schedule = new ScheduleSpec { Name = "constant" }, Checkpoint = new CheckpointSpec { EverySeconds = 3600 }, Export = [],
    };

    private static string RandomRows(string folder, int length, int steps)
    {
        var path = Path.Combine(folder, $"random-{length}.jsonl");
        var random = new Random(0);
        File.WriteAllLines(path, Enumerable.Range(0, steps).Select(_ => string.Join(',', Enumerable.Range(0, length).Select(_ => random.Next(Vocabulary)))).Select(ids => $$"""{"ids":[{{ids}}],"labels":[{{ids}}]}"""));
        return path;
    }

    private static string Repeated(string folder, string data, int rows)
    {
        var path = Path.Combine(folder, $"rows-{rows}.jsonl");
        var lines = File.ReadAllLines(data);
        File.WriteAllLines(path, Enumerable.Range(0, rows).Select(i => lines[i % lines.Length]));
        return path;
    }
}
