using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.Jobs;

namespace TokenMill.Benchmarks;

/// <summary>
/// What <c>train --plan</c> says against what the run then takes: peak memory and wall time of six specifications, the plan each time
/// made first on a machine that was not probed yet, then once more. Asked for: memory within 15 %, time within 25 %, 20 s and 2 s for the plan.
/// </summary>
internal sealed class PlanAccuracy : IDisposable
{
    private readonly string _model, _data, _folder = Directory.CreateTempSubdirectory("tokenmill-bench-").FullName;

    private PlanAccuracy(string model, string data) => (_model, _data) = (model, data);

    private sealed record Truth(double Seconds, long MemoryBytes, long Tokens);

    /// <param name="only">Names of the specifications to try; all when empty.</param>
    public static async Task<int> RunAsync(string model, string data, IReadOnlyCollection<string> only)
    {
        using var bench = new PlanAccuracy(model, data);
        Console.WriteLine($"{Environment.ProcessorCount} cores, {Path.GetFileName(model)}, {Path.GetFileName(data)}");
        Console.WriteLine($"{"",-16}{"memory MB",22}{"",8}{"seconds",26}{"",8}{"plan takes",16}");
        Console.WriteLine($"{"",-16}{"foretold",11}{"true",11}{"error",8}{"foretold",18}{"true",8}{"error",8}{"first",9}{"again",7}");
        foreach (var (name, spec) in bench.Specifications())
            if (only.Count == 0 || only.Contains(name)) await bench.CompareAsync(name, spec());
        return 0;
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private IEnumerable<(string Name, Func<JsonObject> Spec)> Specifications()
    {
        yield return ("lora-r8-512", () => Spec(_model, _data, 12, spec => spec["adapter"] = new JsonObject { ["rank"] = 8, ["alpha"] = 16 }));
        yield return ("lora-r64-2048", () => Spec(_model, Joined(16), 4, spec =>
        {
            (spec["max_length"], spec["batch_size"]) = (2048, 2);
            spec["adapter"] = new JsonObject { ["rank"] = 64, ["alpha"] = 64 };
        }));
        yield return ("qlora", () => Spec(_model, _data, 12, spec => spec["adapter"] = new JsonObject { ["type"] = "qlora" }));
        yield return ("full", () => Spec(_model, _data, 12, spec => spec["adapter"] = new JsonObject { ["type"] = "none" }));
        yield return ("dpo", () => Spec(_model, Pairs(), 8, spec => spec["method"] = "dpo"));
        yield return ("1b-qlora", () => Spec(RandomModel.Write(Path.Combine(_folder, "1b.gguf"), _model), _data, 4, spec => spec["adapter"] = new JsonObject { ["type"] = "qlora" }));
    }

    private static JsonObject Spec(string model, string data, int steps, Action<JsonObject> change)
    {
        var spec = new JsonObject
        {
            ["model"] = model, ["data"] = new JsonArray(new JsonObject { ["path"] = data }), ["max_length"] = 512,
            ["batch_size"] = 8, ["accumulation"] = 1, ["max_steps"] = steps, ["export"] = new JsonArray(),
            ["checkpoint"] = new JsonObject { ["every_steps"] = 6 },                       // whose copies count
        };
        change(spec);
        return spec;
    }

    private async Task CompareAsync(string name, JsonObject spec)
    {
        spec["output"] = Path.Combine(_folder, name);
        var path = Path.Combine(_folder, name + ".json");
        await File.WriteAllTextAsync(path, spec.ToJsonString());
        var (first, firstSeconds) = await PlanAsync(path);
        if (first is null) return;
        var truth = await TrainAsync(path);
        var (_, again) = await PlanAsync(path);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{name,-16}{first.PeakMemoryBytes / 1e6,11:0}{truth.MemoryBytes / 1e6,11:0}{Error(first.PeakMemoryBytes, truth.MemoryBytes),8:+0 %;-0 %}{$"{first.Seconds.Low:0}…{first.Seconds.Expected:0}…{first.Seconds.High:0}",18}{truth.Seconds,8:0.0}{Error(first.Seconds.Expected, truth.Seconds),8:+0 %;-0 %}{firstSeconds,9:0.0}{again,7:0.0}"));
        Directory.Delete(Path.Combine(_folder, name), recursive: true);
    }

    private static double Error(double said, double truth) => said / truth - 1;

    private async Task<(FineTunePlan? Plan, double Seconds)> PlanAsync(string spec)
    {
        var clock = Stopwatch.StartNew();
        var (output, error) = await TrainerAsync(spec, "--plan", "--json");
        if (output.Count == 1) return (Json.Deserialize<FineTunePlan>(output[0]), clock.Elapsed.TotalSeconds);
        Console.WriteLine($"{Path.GetFileNameWithoutExtension(spec),-16}{error.Trim()}");
        return (null, 0);
    }

    private async Task<Truth> TrainAsync(string spec)
    {
        var (output, error) = await TrainerAsync(spec);
        var events = output.Select(Json.Deserialize<TrainerEvent>).ToList();
        if (events is not [.., FinishedEvent finished]) throw new InvalidOperationException(error);
        var last = events.OfType<StepEvent>().Last();
        return new Truth(finished.Seconds, last.MemoryBytes, last.Tokens);
    }

    private async Task<(List<string> Output, string Error)> TrainerAsync(params string[] words)
    {
        var start = new ProcessStartInfo("dotnet", [Installation.Program("Training"), "train", .. words]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["XDG_CACHE_HOME"] = Path.Combine(_folder, "cache");
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return ([.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries)], await error);
    }

    /// <summary>Conversations of several rows each, to have long ones.</summary>
    private string Joined(int rows) => Write("joined.jsonl", Rows().Chunk(rows).Select(chunk => new JsonObject { ["messages"] = new JsonArray([.. chunk.SelectMany(row => row["messages"]!.AsArray()).Where(message => (string?)message!["role"] != "system").Select(message => message!.DeepClone())]) }));

    /// <summary>Each question with its own answer and that of the next row.</summary>
    private string Pairs()
    {
        var rows = Rows().Select(row => row["messages"]!.AsArray()).ToList();
        return Write("pairs.jsonl", rows.Zip(rows.Skip(1), (row, next) => new JsonObject
        {
            ["prompt"] = new JsonArray([.. row.SkipLast(1).Select(message => message!.DeepClone())]),
            ["chosen"] = new JsonArray(row[^1]!.DeepClone()), ["rejected"] = new JsonArray(next[^1]!.DeepClone()),
        }));
    }

    private IEnumerable<JsonObject> Rows() => File.ReadLines(_data).Select(line => JsonNode.Parse(line)!.AsObject());

    private string Write(string name, IEnumerable<JsonObject> rows)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllLines(path, rows.Select(row => row.ToJsonString()));
        return path;
    }
}
