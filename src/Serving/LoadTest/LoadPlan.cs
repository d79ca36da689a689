using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.JsonLines;

namespace TokenMill.Serving.LoadTest;

/// <summary>What is sent, and when. The same seed gives the same requests at the same times.</summary>
internal sealed record LoadPlan
{
    private const int MostRowsOfData = 10_000;

    private static readonly string[] Words = "river table copper winter number garden signal orange window letter market silver island summer bridge forest paper engine valley candle".Split(' ');

    public int Requests { get; init; } = 64;

    /// <summary>Requests a second that arrive on average, whether or not earlier ones are answered: a Poisson process. Null: so many <see cref="Clients"/> ask again as soon as they are answered.</summary>
    public double? RatePerSecond { get; init; }
    public int Clients { get; init; } = 8;
    public int MaxTokens { get; init; } = 64;
    public bool IgnoreEos { get; init; }

    /// <summary>Words of a prompt, and of the system prompt that all requests have in common.</summary>
    public int PromptWords { get; init; } = 100;
    public int SharedWords { get; init; }
    public int Seed { get; init; } = 1;

    /// <summary>Conversations to ask for the last answer of, instead of made-up words.</summary>
    public string? DataPath { get; init; }

    /// <summary>Seconds from the start at which each request arrives; all zero without a rate.</summary>
    public double[] Arrivals()
    {
        if (RatePerSecond is not { } rate) return new double[Requests];
        var (random, at) = (new Random(Seed), 0.0);
        return [.. Enumerable.Range(0, Requests).Select(_ => at -= Math.Log(1 - random.NextDouble()) / rate)];
    }

    /// <exception cref="RefusedException">The data has no conversation.</exception>
    public JsonArray[] Prompts(CancellationToken cancellationToken)
    {
        var random = new Random(Seed + 1);
        if (DataPath is not null)
        {
            var rows = Conversations(DataPath, cancellationToken);
            return [.. Enumerable.Range(0, Requests).Select(_ => (JsonArray)rows[random.Next(rows.Count)].DeepClone())];
        }
        var shared = Text(random, SharedWords);
        return [.. Enumerable.Range(0, Requests).Select(i => SharedWords == 0 ? new JsonArray(Message("user", $"{i} {Text(random, PromptWords)}")) : new JsonArray(Message("system", shared), Message("user", $"{i} {Text(random, PromptWords)}")))];
    }

    private static List<JsonArray> Conversations(string path, CancellationToken cancellationToken)
    {
        if (!File.Exists(path)) throw new RefusedException("file-not-found", $"{path} does not exist", "give --data a data set of conversations");
        var reader = new DatasetReader(path, new DatasetReaderOptions { Warnings = false });
        var conversations = new List<JsonArray>();
        foreach (var row in reader.Rows(cancellationToken))
        {
            if (row.Parse()["messages"] is not JsonArray messages) continue;
            var asked = messages.Take(messages.Count - 1).Select(m => m!.DeepClone()).ToArray();
            if (asked.Length > 0) conversations.Add(new JsonArray(asked));
            if (conversations.Count == MostRowsOfData) break;
        }
        return conversations.Count > 0 ? conversations : throw new RefusedException("no-conversations", $"{path} holds no conversation with an answer", "see ./run validate");
    }

    /// <summary>Made-up text: each word is about one token of a usual vocabulary.</summary>
    public static string Text(Random random, int words) => string.Join(' ', Enumerable.Range(0, words).Select(_ => Words[random.Next(Words.Length)]));

    private static JsonObject Message(string role, string content) => new() { ["role"] = role, ["content"] = content };
}
