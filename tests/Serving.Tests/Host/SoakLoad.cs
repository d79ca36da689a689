using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;

namespace TokenMill.Serving.Tests.Host;

/// <summary>An answer that came whole: what was asked, and each token's bytes with its log-probability.</summary>
internal sealed record SoakAnswer(string Content, string? Adapter, IReadOnlyList<(byte[] Bytes, double Logprob)> Tokens, int TokenCount);

/// <summary>Clients as they come: streams and not, adapters, schemas, slow readers, and every third goes away at some moment.</summary>
internal sealed class SoakLoad(HttpClient client, IReadOnlyList<string?> adapters)
{
    private const string Schema = """{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object","properties":{"n":{"type":"integer","minimum":0,"maximum":99},"ok":{"type":"boolean"}},"required":["n","ok"],"additionalProperties":false}}}""";
    private static readonly string[] Words = ["river", "table", "and", "7", "copper", "the", "über", "窗", "\n", "letter"];

    private int _ended, _left;

    public ConcurrentQueue<SoakAnswer> Answers { get; } = [];
    public int Ended => _ended;
    public int Left => _left;

    /// <summary>One client, which asks again and again.</summary>
    public async Task RunAsync(int seed, Func<bool> goesOn)
    {
        var random = new Random(seed);
        while (goesOn())
        {
            using var gone = new CancellationTokenSource();
            var leaves = random.Next(3) == 0;
            try
            {
                await AskAsync(random, leaves ? gone : null);
            }
            catch (Exception e) when (leaves && e is OperationCanceledException or HttpRequestException { InnerException: IOException } or IOException && gone.IsCancellationRequested)
            {
                Interlocked.Increment(ref _left);
            }
            Interlocked.Increment(ref _ended);
        }
    }

    private async Task AskAsync(Random random, CancellationTokenSource? gone)
    {
        var content = string.Join(' ', Enumerable.Range(0, random.Next(1, 40)).Select(_ => Words[random.Next(Words.Length)]));
        var (adapter, stream, schema, slow) = (adapters[random.Next(adapters.Count)], random.Next(2) == 0, random.Next(4) == 0, random.Next(8) == 0);
        var body = new JsonObject
        {
            ["model"] = adapter, ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = content }),
            ["max_tokens"] = random.Next(1, 60), ["temperature"] = random.NextDouble() * 1.5, ["top_p"] = 0.5 + random.NextDouble() / 2, ["seed"] = random.Next(), ["logprobs"] = true,
            ["stream"] = stream, ["response_format"] = schema ? JsonNode.Parse(Schema) : null,
        };
        if (stream) body["stream_options"] = new JsonObject { ["include_usage"] = true };
        var cancellationToken = gone?.Token ?? CancellationToken.None;
        if (gone is not null && random.Next(2) == 0) gone.CancelAfter(random.Next(40));       // at any moment; else in the middle of the answer

        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json") };
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await using var source = await response.Content.ReadAsStreamAsync(cancellationToken);
        var (received, buffer) = (new MemoryStream(), new byte[slow ? 64 : 4096]);
        for (var (reads, most) = (0, random.Next(1, 20)); await source.ReadAsync(buffer, cancellationToken) is > 0 and var count; reads++)
        {
            received.Write(buffer, 0, count);
            if (slow && reads < 50) await Task.Delay(5, cancellationToken);
            if (gone is not null && reads == most) await gone.CancelAsync();
        }
        var answer = Read(Encoding.UTF8.GetString(received.ToArray()), stream);
        var tokens = answer.Logprobs.Select(t => (t["bytes"]!.AsArray().Select(b => (byte)b!).ToArray(), (double)t["logprob"]!)).ToList();
        Answers.Enqueue(new SoakAnswer(content, adapter, tokens, answer.TokenCount));
        if (schema && answer.FinishReason == "stop") Assert.Equal(["n", "ok"], JsonNode.Parse(answer.Text)!.AsObject().Select(p => p.Key).Order());
    }

    private static (string Text, IReadOnlyList<JsonNode> Logprobs, int TokenCount, string? FinishReason) Read(string received, bool stream)
    {
        if (!stream)
        {
            var whole = JsonNode.Parse(received)!;
            var only = whole["choices"]![0]!;
            return ((string)only["message"]!["content"]!, [.. only["logprobs"]!["content"]!.AsArray().Select(t => t!)], (int)whole["usage"]!["completion_tokens"]!, (string?)only["finish_reason"]);
        }
        Assert.EndsWith("data: [DONE]\n\n", received, StringComparison.Ordinal);
        var (text, logprobs, tokens, reason) = (new StringBuilder(), new List<JsonNode>(), 0, (string?)null);
        foreach (var line in received.Split("\n\n", StringSplitOptions.RemoveEmptyEntries)[..^1])
        {
            var chunk = JsonNode.Parse(line["data: ".Length..])!;
            Assert.Null(chunk["error"]);
            if (chunk["usage"] is { } usage) tokens = (int)usage["completion_tokens"]!;
            if (chunk["choices"]!.AsArray() is not [{ } choice]) continue;
            text.Append((string?)choice["delta"]?["content"]);
            if (choice["logprobs"]?["content"] is JsonArray some) logprobs.AddRange(some.Select(t => t!));
            reason ??= (string?)choice["finish_reason"];
        }
        return (text.ToString(), logprobs, tokens, reason);
    }
}
