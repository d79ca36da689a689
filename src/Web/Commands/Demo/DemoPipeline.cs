using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Web.Features.Deployments;
using TokenMill.Web.Features.Evaluation;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Commands.Demo;

/// <summary>
/// The platform's main job in one go: check the data, split it, fine-tune, deploy base and adapter in one engine, compare it with
/// the trainer, evaluate both, chat. Uses the trainer, the engine and the checks of the platform itself.
/// </summary>
internal sealed class DemoPipeline(string model, string data, string folder, int? maxSteps, DemoConsole console)
{
    private const int MinHeldOut = 100, Questions = 3;
    private const double HeldOutShare = 0.1, MaxHeldOutShare = 0.5;

    private readonly TimeProvider _time = TimeProvider.System;

    public async Task<DemoReport> RunAsync(CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        console.Heading("Data");
        var (rows, report) = DemoData.Read(data, cancellationToken);
        var (train, heldOut) = Split(rows);
        var trainPath = await WriteAsync("train.jsonl", train, cancellationToken);
        var validationPath = await WriteAsync("validation.jsonl", heldOut, cancellationToken);
        var dataset = new DemoDataset(report.Rows ?? rows.Count, report.GoodRows, train.Count, heldOut.Count);
        console.Line($"{dataset.Rows} rows, {dataset.GoodRows} good: {train.Count} to train on, {heldOut.Count} held out");

        console.Heading("Fine-tune");
        var stage = new FineTuneStage(model, folder, _time, NullLogger.Instance);
        var tuned = await console.ProgressAsync("training", (report, token) =>
            stage.RunAsync(trainPath, validationPath, train.Count, maxSteps, (step, total) => report(step.Step, total, $"loss {step.Loss:0.000}, {step.TokensPerSecond:0} tokens/s"), token), cancellationToken);
        console.Line($"{tuned.Numbers.Steps} steps in {tuned.Numbers.Seconds:0} s; validation loss {tuned.Numbers.ValidationBefore:0.000} → {tuned.Numbers.ValidationAfter:0.000}");

        console.Heading("Deploy");
        var load = Stopwatch.StartNew();
        await using var engine = await ServingProcess.StartAsync(
            new ServingOptions(model) { Adapters = [(DeployedModel.AdapterName, tuned.Exports["gguf-lora"])] }, _time, null, cancellationToken);
        var loadSeconds = load.Elapsed.TotalSeconds;
        console.Line($"loaded in {loadSeconds:0.0} s");
        var parity = await new ParityCheck(_time).RunAsync(engine, DeployedModel.AdapterName, model, tuned.Exports["peft"], heldOut.Concat(train), folder, cancellationToken);
        if (parity.Refusal() is { } refusal) throw new RefusedException(refusal);
        console.Line($"trainer and engine agree: log-probabilities of {parity.Tokens} tokens differ by {parity.MeanLogprobDifference:0.0000} on average");

        console.Heading("Evaluate");
        var items = heldOut.Take(Math.Max(MinHeldOut, 1)).ToList();
        var baseScores = await EvaluateAsync("base", new EvaluatedEngine(engine, null), items, cancellationToken);
        var tunedScores = await EvaluateAsync("tuned", new EvaluatedEngine(engine, DeployedModel.AdapterName), items, cancellationToken);

        console.Heading("Chat");
        var chat = new List<DemoChat>();
        foreach (var question in heldOut.Select(r => EvaluationCase.Of(r).Prompt).Where(p => p.Count == 1 && p[0]!["content"] is JsonValue).Take(Questions).Select(p => p[0]!["content"]!.GetValue<string>()))
        {
            console.Question(question);
            chat.Add(await ChatStage.AskAsync(engine, DeployedModel.AdapterName, question, console.Piece, cancellationToken));
            console.Line("");
        }

        return new DemoReport(dataset, tuned.Numbers, new DemoEvaluation(baseScores, tunedScores, items.Count),
            new DemoDeployment(parity.MeanLogprobDifference, parity.MaxLogprobDifference, parity.Tokens, loadSeconds), chat,
            new DemoArtifacts(tuned.Exports["peft"], tuned.Exports["merged"], tuned.Exports["gguf-lora"]), clock.Elapsed.TotalSeconds);
    }

    private Task<IReadOnlyDictionary<string, double>> EvaluateAsync(string name, EvaluatedEngine engine, List<JsonNode> items, CancellationToken cancellationToken)
    {
        var done = 0;
        return console.ProgressAsync(name, (report, token) =>
            EvaluationStage.RunAsync(engine, items, () => report(Interlocked.Increment(ref done), items.Count, "answers"), token), cancellationToken);
    }

    /// <summary>By hash of the row, so that the same row is always on the same side: enough held out to measure, never more than half.</summary>
    private static (List<JsonNode> Train, List<JsonNode> HeldOut) Split(List<JsonNode> rows)
    {
        if (rows.Count < 2) throw new RefusedException("too-few-rows", $"{rows.Count} good rows cannot be split into training and held-out rows", "give a dataset with at least two good rows");
        var count = (int)Math.Clamp(Math.Max(MinHeldOut, rows.Count * HeldOutShare), 1, Math.Max(1, rows.Count * MaxHeldOutShare));
        var heldOut = rows.OrderBy(r => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(r.ToJsonString()))), StringComparer.Ordinal).Take(count).ToHashSet();
        return ([.. rows.Where(r => !heldOut.Contains(r))], [.. rows.Where(heldOut.Contains)]);
    }

    private async Task<string> WriteAsync(string name, IEnumerable<JsonNode> rows, CancellationToken cancellationToken)
    {
        var path = Path.Combine(folder, name);
        await File.WriteAllLinesAsync(path, rows.Select(r => r.ToJsonString(Json.Options)), cancellationToken);
        return path;
    }
}
