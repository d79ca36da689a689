using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using TokenMill.Shared;
using TokenMill.Shared.Jobs;
using TokenMill.Web.Gateway;
using TokenMill.Web.Nodes;

namespace TokenMill.Benchmarks;

/// <summary>
/// One machine, a chat and a training run: each alone, then both together, with the platform's own sharing of cores. Asked for:
/// a first token within 2 s, at least a third of the idle chat speed, at least half of the training speed while somebody chats all the time.
/// </summary>
internal static class SharedCores
{
    private const int Answers = 9, AnswerTokens = 96, TrainingSeconds = 60;

    public static async Task<int> RunAsync(string model, string data)
    {
        var folder = Directory.CreateTempSubdirectory("tokenmill-bench-").FullName;
        var machine = new MachineFacts();
        var cores = new CoreSharing(machine, NullLogger<CoreSharing>.Instance);
        try
        {
            await using var engine = await ServingProcess.StartAsync(new ServingOptions(model) { Threads = cores.ServingThreads }, TimeProvider.System, null, CancellationToken.None);
            await cores.AddAsync(engine, CancellationToken.None);
            await AskAsync(engine);                                     // not the first one ever
            var idle = await ChatAsync(engine, CancellationToken.None);
            var alone = await TrainAsync(model, data, Path.Combine(folder, "alone"), cores, TimeSpan.FromSeconds(TrainingSeconds / 2), null);

            Chat? together = null;
            var shared = await TrainAsync(model, data, Path.Combine(folder, "shared"), cores, TimeSpan.FromSeconds(TrainingSeconds), async cancellationToken => together = await ChatAsync(engine, cancellationToken));

            Console.WriteLine($"{machine.Cores} cores; {Answers} answers of up to {AnswerTokens} tokens, medians");
            Console.WriteLine($"{"",-28}{"alone",12}{"together",12}{"ratio",8}");
            Row("chat, tokens/s", idle.TokensPerSecond, together!.TokensPerSecond);
            Row("chat, first token ms", idle.FirstTokenMs, together.FirstTokenMs);
            Row("  the slowest", idle.SlowestFirstTokenMs, together.SlowestFirstTokenMs);
            Row("training, tokens/s", alone, shared);
            return 0;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        static void Row(string name, double alone, double together) => Console.WriteLine($"{name,-28}{alone,12:0.0}{together,12:0.0}{together / alone,8:0.00}");
    }

    private sealed record Chat(double TokensPerSecond, double FirstTokenMs, double SlowestFirstTokenMs);

    private static async Task<Chat> ChatAsync(ServingProcess engine, CancellationToken cancellationToken)
    {
        var answers = new List<(double First, double PerToken)>();
        while (answers.Count < Answers && !cancellationToken.IsCancellationRequested) answers.Add(await AskAsync(engine));
        return new Chat(1000 / Median.Of(answers.Select(a => a.PerToken)), Median.Of(answers.Select(a => a.First)), answers.Max(a => a.First));
    }

    private static async Task<(double FirstMs, double PerTokenMs)> AskAsync(ServingProcess engine)
    {
        var body = new JsonObject
        {
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = $"Write about the number {Random.Shared.Next(10_000)} and what can be counted with it." }),
            ["max_tokens"] = AnswerTokens, ["temperature"] = 1, ["stream"] = true, ["stream_options"] = EngineStream.CountedOptions,
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = JsonContent.Create(body) };
        var clock = Stopwatch.StartNew();
        using var response = await engine.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        response.EnsureSuccessStatusCode();
        await using var source = await response.Content.ReadAsStreamAsync();
        var stream = new EngineStream(source);
        double? first = null;
        await foreach (var chunk in stream.ChunksAsync(CancellationToken.None))
            if ((chunk["choices"] as JsonArray)?.FirstOrDefault()?["delta"]?["content"]?.GetValue<string>() is { Length: > 0 }) first ??= clock.Elapsed.TotalMilliseconds;
        var ttft = first ?? clock.Elapsed.TotalMilliseconds;
        return (ttft, (clock.Elapsed.TotalMilliseconds - ttft) / Math.Max(1, stream.Tokens.Completion - 1));
    }

    /// <summary>Median tokens/s of the steps of a run that goes on for the given time, after its first steps.</summary>
    private static async Task<double> TrainAsync(string model, string data, string output, CoreSharing cores, TimeSpan time, Func<CancellationToken, Task>? meanwhile)
    {
        var spec = new FineTuneSpec
        {
            Model = JsonValue.Create(model), Output = output, Data = [new DataSpec { Path = data }],
            MaxSteps = 10_000, BatchSize = 8, Accumulation = 1, MaxLength = 512, Checkpoint = new CheckpointSpec { EverySeconds = 600 }, Export = [],
        };
        var path = output + ".json";
        await File.WriteAllTextAsync(path, Json.Serialize(spec));
        var run = Guid.NewGuid().ToString("N");
        await using var sharing = await cores.TrainingAsync();
        await using var trainer = TrainerProcess.Start(new LibtorchTrainer(new MachineFacts()).Program(path, run, resume: false), run, TimeProvider.System, NullLogger.Instance);
        using var end = new CancellationTokenSource();
        var speeds = new List<double>();
        var other = Task.CompletedTask;
        long? begun = null;
        await foreach (var step in trainer.EventsAsync(CancellationToken.None))
        {
            if (step is FailedEvent failed) throw new InvalidOperationException(failed.Message);
            if (step is not StepEvent { Step: > 2 } measured) continue;
            if (begun is null)
            {
                begun = Stopwatch.GetTimestamp();
                if (meanwhile is not null) other = meanwhile(end.Token);
                continue;
            }
            if (meanwhile is null || !other.IsCompleted) speeds.Add(measured.TokensPerSecond);
            if (meanwhile is null ? Stopwatch.GetElapsedTime(begun.Value) > time : other.IsCompleted || Stopwatch.GetElapsedTime(begun.Value) > time) await trainer.CancelAsync(CancellationToken.None);
        }
        await end.CancelAsync();
        await other;
        return Median.Of(speeds);
    }
}
