using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;
using TokenMill.Web.Features.Evaluation.Metrics;

namespace TokenMill.Web.Commands;

/// <summary><c>score</c>: text metrics of answers against references, one line for each case and a total.</summary>
public static class ScoreCommand
{
    public static Command Command { get; } = new("score", "score --metric NAME[,NAME] [--tokenizer default|13a|intl|zh|char] [--stemmer] --cases F.jsonl", RunAsync);

    private static async Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var options = new TextMetricOptions(Tokenizer(arguments.Option("--tokenizer") ?? "default"), arguments.Flag("--stemmer"));
        var metrics = arguments.Required("--metric").Split(',').Select(name => TextMetric.Find(name, options) ?? throw Unknown(name)).ToList();
        var cases = arguments.Required("--cases");
        arguments.End();
        if (!File.Exists(cases)) throw new RefusedException("file-not-found", $"{cases} does not exist", "give --cases a JSON Lines file");

        await using var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)) { NewLine = "\n" };
        var items = new List<ScoredText>();
        var scores = metrics.Select(_ => new List<double>()).ToList();
        var number = 0;
        await foreach (var line in File.ReadLinesAsync(cases, cancellationToken))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line)) continue;
            var item = Parse(line, number);
            items.Add(item);
            for (var m = 0; m < metrics.Count; m++) scores[m].Add(metrics[m].Score(item));
            await output.WriteLineAsync(Write(metrics, m => scores[m][^1]).ToJsonString(Json.Options));
        }
        if (items.Count == 0) throw new RefusedException("no-cases", $"{cases} holds no case", "write one {\"prediction\", \"references\"} a line");
        await output.WriteLineAsync(new JsonObject { ["total"] = Write(metrics, m => metrics[m].Total(items, scores[m])) }.ToJsonString(Json.Options));
        return CommandLineHost.Done;
    }

    private static JsonObject Write(List<TextMetric> metrics, Func<int, double> value) =>
        new(metrics.Select((metric, m) => KeyValuePair.Create(metric.Name, (JsonNode?)value(m))));

    private static UsageException Unknown(string name) => new($"'{name}' is no metric; there are {string.Join(", ", TextMetric.Names)}");

    private static TextTokenizer Tokenizer(string name) => name switch
    {
        "default" => TextTokenizer.Default,
        "13a" => TextTokenizer.Mteval13A,
        "intl" => TextTokenizer.International,
        "zh" => TextTokenizer.Chinese,
        "char" => TextTokenizer.Character,
        _ => throw new UsageException($"'{name}' is no tokenizer; there are default, 13a, intl, zh, char"),
    };

    private static ScoredText Parse(string line, int number)
    {
        try
        {
            if (JsonNode.Parse(line) is JsonObject @case && @case["prediction"] is JsonValue prediction && @case["references"] is JsonArray references)
                return new ScoredText(prediction.GetValue<string>(), [.. references.Select(r => r!.GetValue<string>())]);
        }
        catch (JsonException e)
        {
            throw new RefusedException(new Error("invalid-json", $"line {number} is not JSON: {e.Message}", "write one JSON object a line"), e);
        }
        catch (Exception e) when (e is InvalidOperationException or NullReferenceException)
        {
            throw new RefusedException(new Error("invalid-case", $"line {number} holds something that is no text", "write {\"prediction\": \"…\", \"references\": [\"…\"]}"), e);
        }
        throw new RefusedException("invalid-case", $"line {number} lacks \"prediction\" or the list \"references\"", "write {\"prediction\": \"…\", \"references\": [\"…\"]}");
    }
}
