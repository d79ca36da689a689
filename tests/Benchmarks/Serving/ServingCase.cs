using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Serving.LoadTest;
using TokenMill.Shared.Domain;

namespace TokenMill.Benchmarks.Serving;

/// <summary>A figure of a case: what is wanted of it, as ours ÷ the peer's unless it says otherwise.</summary>
internal sealed record Figure(string Name, string Wanted);

/// <param name="Measure">The figures in their order, from one run against one server; the number of the pair makes its texts differ from the last one's.</param>
internal sealed record ServingCase(string Name, string Title, int ContextTokens, IReadOnlyList<Figure> Figures, Func<Contender, int, Task<double[]>> Measure)
{
    public const int Adapters = 8;
    private const int Clients = 16;

    public bool NeedsAdapters { get; init; }

    /// <summary>What llama-bench is asked for, to stand beside the first figure: prompt tokens or answer tokens.</summary>
    public (int Prompt, int Answer)? BareLibrary { get; init; }

    public static IReadOnlyList<ServingCase> All { get; } =
    [
        new("decode", "single stream, 128 tokens", 4096, [new("tokens/s", "≥ 1.0; ≥ 0.88 of llama-bench")], DecodeAsync) { BareLibrary = (0, 128) },
        new("prompt", "cold prompt of 1,000 tokens", 4096, [new("tokens/s", "≥ 1.0; ≥ 0.95 of llama-bench")], PromptAsync) { BareLibrary = (1024, 0) },
        new("repeat", "repeat this JSON", 4096, [new("tokens/s", "≥ 1.5")], RepeatAsync),
        new("shared", "16 clients at once, one 900-word system prompt, 64 tokens each", 32768, [new("tokens/s", "≥ 5"), new("TTFT p95, s", "≤ 0.15")], SharedAsync),
        new("stall", "8 streams running, a 3,800-word prompt arrives", 16384, [new("worst gap, s", "≤ 0.15"), new("TTFT, s", "≤ 2.3")], StallAsync),
        new("tight", "3,072 cells, 16 requests of 700 tokens", 3072, [new("completed", "16"), new("slowest, s", "≤ 1.5 of four at a time"), new("four at a time, s", "")], TightAsync),
        new("chats", "64 chats kept warm, a random one continues", 32768, [new("TTFT p95, s", "≤ 1.0")], ChatsAsync),
        new("adapters", "8 adapters round robin, 16 clients, 32 tokens each", 16384, [new("tokens/s", "≥ 1.5")], AdaptersAsync) { NeedsAdapters = true },
    ];

    private static async Task<double[]> DecodeAsync(Contender server, int pair) => [1 / Ok(await server.AskAsync($"{pair} Tell me about rivers.", 128)).Tpot!.Value];

    private static async Task<double[]> PromptAsync(Contender server, int pair)
    {
        var times = Ok(await server.AskAsync($"{pair} {LoadPlan.Text(new Random(pair), 965)}", 4));
        return [times.PromptTokens / times.Ttft];
    }

    private static async Task<double[]> RepeatAsync(Contender server, int pair)
    {
        var random = new Random(pair);
        var json = new JsonArray([.. Enumerable.Range(0, 12).Select(i => (JsonNode)new JsonObject { ["id"] = random.Next(1000), ["name"] = LoadPlan.Text(random, 2), ["count"] = random.Next(100), ["place"] = LoadPlan.Text(random, 1) })]).ToJsonString(JsonSerializerOptions.Default);
        return [1 / Ok(await server.AskAsync($"Repeat this JSON exactly as it is, nothing else:\n{json}", 256)).Tpot!.Value];
    }

    private static async Task<double[]> SharedAsync(Contender server, int pair)
    {
        var system = LoadPlan.Text(new Random(100 + pair), 900);
        var all = await AllAsync(server, Clients, i => server.AskAsync([Contender.Message("system", system), Contender.Message("user", $"{i} What is this about?")], 64));
        return [Throughput(all), Percentile95(all.Select(t => t.Ttft))];
    }

    private static async Task<double[]> StallAsync(Contender server, int pair)
    {
        const int streams = 8;
        var running = Enumerable.Range(0, streams).Select(i => server.AskAsync($"{pair} {i} Tell me everything about it.", 512)).ToList();
        await Task.Delay(TimeSpan.FromSeconds(1.5));           // they are all answering by then
        var prompt = Ok(await server.AskAsync($"{pair} {LoadPlan.Text(new Random(pair), 3800)}", 16));
        var others = await Task.WhenAll(running);
        var gaps = others.SelectMany(t => Ok(t).Chunks.Zip(t.Chunks.Skip(1)).Where(c => c.Second > prompt.Arrival && c.First < prompt.Chunks[0]).Select(c => c.Second - c.First));
        return [gaps.Max(), prompt.Ttft];
    }

    private static async Task<double[]> TightAsync(Contender server, int pair)
    {
        Task<RequestTimes> Ask(int round, int i) => server.AskAsync($"{pair} {round} {i} {LoadPlan.Text(new Random(1000 * pair + 100 * round + i), 370)}", 300);
        var began = server.Client.Now;
        var atOnce = await Task.WhenAll(Enumerable.Range(0, Clients).Select(i => Ask(0, i)));
        var slowest = server.Client.Now - began;
        began = server.Client.Now;
        for (var four = 0; four < Clients; four += 4) await Task.WhenAll(Enumerable.Range(four, 4).Select(i => Ask(1, i)));
        return [atOnce.Count(t => t.Failure is null && t.OutputTokens == 300), slowest, server.Client.Now - began];
    }

    private static async Task<double[]> ChatsAsync(Contender server, int pair)
    {
        const int chats = 64, turns = 40;
        var histories = Enumerable.Range(0, chats).Select(i => new JsonArray(Contender.Message("user", $"{pair} {i} {LoadPlan.Text(new Random(64 * pair + i), 150)}"))).ToList();
        var random = new Random(pair);
        async Task<RequestTimes> TurnAsync(JsonArray history)
        {
            var times = Ok(await server.AskAsync((JsonArray)history.DeepClone(), 24));
            history.Add(Contender.Message("assistant", times.Text));
            history.Add(Contender.Message("user", "Go on."));
            return times;
        }
        foreach (var history in histories) await TurnAsync(history);
        var ttft = new List<double>();
        for (var turn = 0; turn < turns; turn++) ttft.Add((await TurnAsync(histories[random.Next(chats)])).Ttft);
        return [Percentile95(ttft)];
    }

    private static async Task<double[]> AdaptersAsync(Contender server, int pair)
    {
        for (var i = 0; i < Adapters; i++) Ok(await server.AskAsync("Hello", 2, i));       // loaded, where they are loaded on demand
        return [Throughput(await AllAsync(server, 2 * Clients, i => server.AskAsync($"{pair} {i} {LoadPlan.Text(new Random(pair * 100 + i), 60)}", 32, i % Adapters)))];
    }

    /// <summary>So many requests from 16 clients, each asking again when it is answered.</summary>
    private static async Task<IReadOnlyList<RequestTimes>> AllAsync(Contender server, int requests, Func<int, Task<RequestTimes>> ask)
    {
        using var free = new SemaphoreSlim(Clients);
        return await Task.WhenAll(Enumerable.Range(0, requests).Select(async i =>
        {
            await free.WaitAsync();
            var times = await ask(i);
            free.Release();
            return Ok(times);
        }));
    }

    private static double Throughput(IReadOnlyList<RequestTimes> all) => all.Sum(t => t.OutputTokens) / (all.Max(t => t.End) - all.Min(t => t.Arrival));

    private static double Percentile95(IEnumerable<double> seconds) => Distribution.OfSeconds(seconds)!.P95 / 1000;

    private static RequestTimes Ok(RequestTimes times) =>
        times.Failure is null ? times : throw new RefusedException("request-failed", $"a request ended with {times.Failure}", "see what the server says");
}
