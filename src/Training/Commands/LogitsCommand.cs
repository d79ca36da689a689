using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Shared.Llama;
using TokenMill.Training.Export;
using TokenMill.Training.Import;
using TokenMill.Training.Lora;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Commands;

/// <summary><c>logits</c>: log-probabilities of given tokens by the trainer's own model, one case a line.</summary>
internal static class LogitsCommand
{
    public static Command Command { get; } = new("logits", "logits MODEL [--adapter DIR] [--dtype float32|bfloat16] [--device auto|cpu|cuda|cuda:N] [--threads N] [--greedy N] [--ignore-eos] --cases F.jsonl", RunAsync);

    private static async Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var cases = arguments.Required("--cases");
        var adapter = arguments.Option("--adapter");
        var format = arguments.Option("--dtype") switch
        {
            null or "float32" => NumberFormat.Float32,
            "bfloat16" => NumberFormat.BFloat16,
            var other => throw new UsageException($"--dtype is float32 or bfloat16, not '{other}'"),
        };
        var device = arguments.Option("--device") ?? "cpu";
        if (!TorchDevice.IsName(device)) throw new UsageException($"--device is {TorchDevice.Names}, not '{device}'");
        var threads = arguments.Int("--threads") ?? Environment.ProcessorCount;
        var greedy = arguments.Int("--greedy") ?? 0;
        var ignoreEos = arguments.Flag("--ignore-eos");
        if (arguments.Option("--engine") is { } engine && engine != "trainer") throw new UsageException("this program is the engine 'trainer'");
        var given = arguments.Positional("MODEL");
        arguments.End();
        if (greedy < 0) throw new UsageException("--greedy is not negative");

        TorchRuntime.UseThreads(threads);
        TorchDevice.Use(device);
        var path = ImportedModel.PathOf(given, cancellationToken);
        var weights = adapter is null ? null : AdapterWeights.Load(adapter, path);
        using var model = ModelLoading.Load(path, ModelUse.Inference(ModelLoading.Resolve(format)), weights);
        using var lora = weights is null ? null : LoraAdapter.Attach(model, weights, trains: false);
        using var vocabulary = greedy > 0 && !ignoreEos ? LlamaVocabulary.Load(path) : null;
        await foreach (var (line, @case) in CaseFile.Read(cases, cancellationToken))
        {
            var ids = CaseFile.Ids(@case, "ids", line);
            TorchRuntime.UseThreads(threads);                   // an await may have moved us to another thread
            Console.Out.WriteLine(Answer(model, ids, line, greedy, id => vocabulary?.IsEndOfGeneration(id) ?? false, cancellationToken).ToJsonString(Json.Options));
        }
        return CommandLineHost.Done;
    }

    private static JsonObject Answer(CausalModel model, int[] ids, int line, int greedy, Func<int, bool> isEnd, CancellationToken cancellationToken)
    {
        if (ids.Length == 0) throw new RefusedException("invalid-case", $"line {line}: \"ids\" is empty", "give at least one token");
        if (Array.FindIndex(ids, id => id < 0 || id >= model.Config.VocabularySize) is >= 0 and var bad)
            throw new RefusedException("invalid-case", $"line {line}: id {ids[bad]} is no token of this model, which has {model.Config.VocabularySize}", "tokenise with this model");
        if (ids.Length + greedy > model.Config.ContextLength)
            throw new RefusedException("invalid-case", $"line {line}: {ids.Length + greedy} tokens do not fit the model's context of {model.Config.ContextLength}", "shorten the case");

        var scores = TokenScores.Of(model, ids);
        var top = scores.Last.Select((logit, id) => (logit, id)).OrderByDescending(pair => pair.logit).ThenBy(pair => pair.id).Take(50).ToList();
        var answer = new JsonObject
        {
            ["next_token_logprob"] = new JsonArray([.. scores.NextTokenLogProbabilities.Select(value => (JsonNode)value)]),
            ["last_top50_ids"] = new JsonArray([.. top.Select(pair => (JsonNode)pair.id)]),
            ["last_top50_logits"] = new JsonArray([.. top.Select(pair => (JsonNode)pair.logit)]),
        };
        if (greedy > 0) answer["greedy"] = new JsonArray([.. GreedyDecoding.Continue(model, ids, greedy, isEnd, cancellationToken).Select(id => (JsonNode)id)]);
        return answer;
    }
}
