using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Serving.Host;
using TokenMill.Serving.Llama;
using TokenMill.Serving.Sampling;
using TokenMill.Shared;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Commands;

/// <summary><c>logits --engine server</c>: what the engine computes for given tokens, through the same scheduler that serves.</summary>
internal static class LogitsCommand
{
    private const int Top = 50;
    private const string AdapterName = "adapter";

    public static Command Command { get; } = new("logits", "logits MODEL --engine server [--adapter FILE] --cases F.jsonl [--greedy N] [--ignore-eos] [--kv-type f16] [--threads N]", RunAsync);

    private static async Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var engine = arguments.Option("--engine") ?? "server";
        if (engine != "server") throw new UsageException($"--engine is server here, not '{engine}'");
        if (arguments.Option("--dtype") is not null) throw new UsageException("--dtype belongs to --engine trainer; here the file decides");
        var cases = arguments.Required("--cases");
        var adapter = arguments.Option("--adapter");
        var greedy = arguments.Int("--greedy") ?? 0;
        var ignoreEos = arguments.Flag("--ignore-eos");
        var keyValueType = arguments.Option("--kv-type") is { } type ? KeyValueTypes.Parse(type) : (KeyValueType?)null;
        var threads = arguments.Int("--threads") ?? Environment.ProcessorCount;
        var given = arguments.Positional("MODEL");
        arguments.End();
        var path = await ModelPath.ResolveAsync(given, cancellationToken);

        using var model = ServedModel.Load(path, adapter is null ? [] : [new NamedAdapter(AdapterName, adapter)], new LlamaExecutorOptions { KeyValueType = keyValueType, Threads = threads, MaxRunning = 1 });
        await using var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)) { NewLine = "\n" };
        await foreach (var (line, @case) in CaseFile.Read(cases, cancellationToken))
        {
            var ids = CaseFile.Ids(@case, "ids", line);
            if (ids.Length == 0) throw new RefusedException("invalid-case", $"line {line}: \"ids\" is empty", "give at least one token");
            await output.WriteLineAsync(Json.Serialize(await AnswerAsync(model, ids, adapter is null ? null : AdapterName, greedy, ignoreEos, cancellationToken)));
        }
        return CommandLineHost.Done;
    }

    private static async Task<JsonObject> AnswerAsync(ServedModel model, int[] ids, string? adapter, int greedy, bool ignoreEos, CancellationToken cancellationToken)
    {
        var scores = await model.ScoreAsync(ids, adapter, cancellationToken);
        var top = scores.LastLogits.Index().OrderByDescending(l => l.Item).ThenBy(l => l.Index).Take(Top).ToArray();
        var answer = new JsonObject
        {
            ["next_token_logprob"] = new JsonArray([.. scores.NextTokenLogprob.Select(p => (JsonNode)p)]),
            ["last_top50_ids"] = new JsonArray([.. top.Select(l => (JsonNode)l.Index)]),
            ["last_top50_logits"] = new JsonArray([.. top.Select(l => (JsonNode)l.Item)]),
        };
        if (greedy == 0) return answer;

        var generation = new TextGeneration(model.Vocabulary, new GenerationOptions { Sampling = SamplingOptions.Greedy, IgnoresEndOfTurn = ignoreEos });
        using var running = model.Start(ids, greedy, adapter, "", generation, cancellationToken);
        var end = await generation.Ended;
        if (end.Error is { } error) throw new RefusedException(error);
        cancellationToken.ThrowIfCancellationRequested();
        answer["greedy"] = new JsonArray([.. generation.Tokens.Select(t => (JsonNode)t)]);
        return answer;
    }
}
