using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using TokenMill.Shared;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Tests.Host;

/// <summary>
/// Mixed load on a server with room for a few requests: nothing is wrong, and nothing is left behind. How much is asked follows from how long the
/// test runs and how fast the machine is; what is asserted does not.
/// </summary>
public sealed class SoakTests(ITestOutputHelper output)
{
    private const int Clients = 12, LeastRequests = 300;
    private const double LargestLogprobDifference = 0.1;

    [Fact]
    public Task MixedLoad_TwentySeconds_NothingWrongAndNothingLeft() => SoakAsync(TimeSpan.FromSeconds(20), mostGrowthMiB: 64);     // code is still being compiled

    [Fact(Explicit = true)]
    public Task MixedLoad_ThirtyMinutes_NothingWrongAndNothingLeft() => SoakAsync(TimeSpan.FromMinutes(30), mostGrowthMiB: 24);

    /// <param name="mostGrowthMiB">Of resident memory, from the second quarter of the time to the last.</param>
    private async Task SoakAsync(TimeSpan duration, int mostGrowthMiB)
    {
        var (model, adapter) = (Models.Family("llama-tied"), Models.Family("llama-tied", "lora/adapter_final.gguf"));
        var start = new ProcessStartInfo("dotnet",
            [Installation.Program("Serving"), "serve", model, "--adapter", $"tuned={adapter}", "--port", "0", "--threads", "1", "--context", "512", "--parallel", "8", "--parent-pipe"])
            { RedirectStandardInput = true, RedirectStandardOutput = true };
        start.Environment["DOTNET_GCgen0size"] = "400000";         // 4 MB (hexadecimal), else .NET's heap grows with the processor's cache
        using var server = Process.Start(start)!;
        try
        {
            await SoakAsync(server, model, duration, mostGrowthMiB);
        }
        finally
        {
            server.Kill(entireProcessTree: true);
        }
    }

    private async Task SoakAsync(Process server, string model, TimeSpan duration, int mostGrowthMiB)
    {
        var address = await AddressAsync(server);
        using var watcher = new HttpClient { BaseAddress = address };
        await MetricAsync(watcher, "num_requests_running");        // its connection counts before and after
        using (var first = NewClient(address)) await RunAsync(first, TimeSpan.Zero, server, []);      // code is compiled, connections have been there
        var handles = await HandlesAsync(server, most: 0);

        var memory = new List<long>();
        SoakLoad load;
        using (var client = NewClient(address)) load = await RunAsync(client, duration, server, memory);

        await UntilAsync(async () => await MetricAsync(watcher, "num_requests_running") + await MetricAsync(watcher, "num_requests_waiting") == 0, () => "requests are left");
        Assert.Equal(0, await MetricAsync(watcher, "kv_cache_usage_perc"));
        Assert.Equal(0, await MetricAsync(watcher, "requests_total{model_name=\"model\",end=\"failed\"}"));
        var handlesAfter = await HandlesAsync(server, handles);
        var preemptions = await MetricAsync(watcher, "num_preemptions_total");
        var growth = Median(memory[(memory.Count * 3 / 4)..]) - Median(memory[(memory.Count / 4)..(memory.Count / 2)]);
        var (checkedAnswers, checkedTokens, worst) = await ReplayAsync(watcher, model, load.Answers);
        output.WriteLine($"{load.Ended} requests in {duration}, {load.Left} left by their clients, {preemptions} preemptions; resident {memory[^1] >> 20} MiB, {growth / 1048576.0:+0.0;-0.0} MiB since the second quarter; handles {handles} then {handlesAfter}");
        output.WriteLine($"{checkedAnswers} answers of {checkedTokens} tokens scored again alone: largest difference of a log-probability {worst:0.0e0}");
        Assert.True(preemptions > 0 && load.Left > 0 && checkedTokens > 500, "the load was too light to prove anything");
        Assert.InRange(worst, 0, LargestLogprobDifference);
        Assert.InRange(growth, long.MinValue, (long)mostGrowthMiB << 20);
        server.StandardInput.Close();
        await server.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
    }

    private static async Task<SoakLoad> RunAsync(HttpClient client, TimeSpan duration, Process server, List<long> memory)
    {
        var (load, clock) = (new SoakLoad(client, [null, "tuned"]), Stopwatch.StartNew());
        var clients = Task.WhenAll(Enumerable.Range(0, Clients).Select(i => load.RunAsync(i, () => clock.Elapsed < duration || load.Ended < LeastRequests)));
        while (await Task.WhenAny(clients, Task.Delay(200)) != clients)
        {
            server.Refresh();
            memory.Add(server.WorkingSet64);
        }
        await clients;
        return load;
    }

    /// <summary>Scores the tokens that were sampled in company once more, each answer alone.</summary>
    private static async Task<(int Answers, int Tokens, double Worst)> ReplayAsync(HttpClient client, string model, IEnumerable<SoakAnswer> answers)
    {
        const int most = 400;
        using var file = GgufFile.Open(model);
        using var vocabulary = LlamaVocabulary.Load(model);
        var encoder = ConversationEncoder.For(ChatTemplate.ForModel(file), vocabulary);
        var ids = Enumerable.Range(0, vocabulary.Count).GroupBy(id => Convert.ToHexString(vocabulary.Piece(id))).Where(g => g.Count() == 1).ToDictionary(g => g.Key, g => g.Single());
        var (count, tokens, worst) = (0, 0, 0.0);
        foreach (var answer in answers.Reverse().Where(a => a.Tokens.Count == a.TokenCount && a.Tokens.All(t => ids.ContainsKey(Convert.ToHexString(t.Bytes)))).Take(most))     // the others hold invisible tokens
        {
            int[] prompt = encoder.Prompt([new JsonObject { ["role"] = "user", ["content"] = answer.Content }], null, null);
            int[] all = [.. prompt, .. answer.Tokens.Select(t => ids[Convert.ToHexString(t.Bytes)])];
            using var response = await client.PostAsync("/internal/logprobs", new StringContent(new JsonObject { ["ids"] = new JsonArray([.. all.Select(id => (JsonNode)id)]), ["adapter"] = answer.Adapter }.ToJsonString(), System.Text.Encoding.UTF8, "application/json"));
            var alone = JsonNode.Parse(await response.EnsureSuccessStatusCode().Content.ReadAsStringAsync())!["next_token_logprob"]!.AsArray();
            for (var i = 0; i < answer.Tokens.Count; i++) worst = Math.Max(worst, Math.Abs((double)alone[prompt.Length - 1 + i]! - answer.Tokens[i].Logprob));
            (count, tokens) = (count + 1, tokens + answer.Tokens.Count);
        }
        return (count, tokens, worst);
    }

    private static HttpClient NewClient(Uri address) => new(new SocketsHttpHandler { ResponseDrainTimeout = TimeSpan.Zero }) { BaseAddress = address, Timeout = Timeout.InfiniteTimeSpan };

    private static async Task<Uri> AddressAsync(Process server)
    {
        while (await server.StandardOutput.ReadLineAsync() is { } line)
            if (JsonNode.Parse(line) is { } report && (string?)report["type"] == "ready") return new Uri((string)report["url"]!);
        throw new InvalidOperationException("the server ended before it was ready");
    }

    private static async Task<double> MetricAsync(HttpClient client, string name)
    {
        var label = name.Contains('{', StringComparison.Ordinal) ? "" : @"\{[^}]*\}";
        return double.Parse(Regex.Match(await client.GetStringAsync("/metrics"), $@"^tokenmill_{(label.Length == 0 ? Regex.Escape(name) : name)}{label} (\S+)$", RegexOptions.Multiline).Groups[1].Value, CultureInfo.InvariantCulture);
    }

    /// <summary>Open handles once the clients' connections are closed: waits until they are no more than that, or stay as they are.</summary>
    private static async Task<int> HandlesAsync(Process server, int most)
    {
        int Count() => Directory.GetFileSystemEntries($"/proc/{server.Id}/fd").Length;
        if (most > 0) await UntilAsync(() => Task.FromResult(Count() <= most), () => $"{Count()} handles, {most} before");
        for (var (before, same) = (Count(), 0); same < 10; same = Count() == before ? same + 1 : 0)
        {
            before = Count();
            await Task.Delay(100);
        }
        return Count();
    }

    private static async Task UntilAsync(Func<Task<bool>> condition, Func<string> otherwise)
    {
        for (var attempt = 0; attempt < 600; attempt++)
        {
            if (await condition()) return;
            await Task.Delay(100);
        }
        Assert.Fail($"after a minute: {otherwise()}");
    }

    private static long Median(List<long> values) => values.Order().ElementAt(values.Count / 2);
}
