using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Serving.Llama;

namespace TokenMill.Serving.Tests.Host;

public sealed class LoadAndFaultTests
{
    private const string LongAnswer = """{"messages":[{"role":"user","content":"Tell me everything."}],"max_tokens":1500,"ignore_eos":true,"stream":true}""";
    private const string ShortAnswer = """{"messages":[{"role":"user","content":"Hi"}],"max_tokens":2}""";

    [Fact]
    public async Task ClientGone_EndsTheAnswerWithinAStep()
    {
        await using var server = await TestServer.StartAsync(Models.SmolLm2, new LlamaExecutorOptions { ContextTokens = 2048, MaxRunning = 2 });
        using (var response = await server.PostAsync("/v1/chat/completions", LongAnswer))
        {
            await using var stream = await response.Content.ReadAsStreamAsync();
            Assert.True(await stream.ReadAtLeastAsync(new byte[1500], 1500) == 1500);
        }
        await server.WaitForAsync("num_requests_running", running => running == 0);
        var tokens = await server.MetricAsync("generation_tokens_total");
        Assert.InRange(tokens, 1, 200);
        await Task.Delay(300);
        Assert.Equal(tokens, await server.MetricAsync("generation_tokens_total"));
        Assert.Equal(0, await server.MetricAsync("kv_cache_usage_perc"));
    }

    [Fact]
    public async Task QueueFull_IsRefusedWithTheWait()
    {
        await using var server = await TestServer.StartAsync(Models.SmolLm2, new LlamaExecutorOptions { ContextTokens = 4096, MaxRunning = 1 }, maxWaiting: 1);
        using var gone = new CancellationTokenSource();
        using var running = await server.PostAsync("/v1/chat/completions", LongAnswer, gone.Token);
        await server.WaitForAsync("num_requests_running", count => count == 1);
        var waiting = server.PostAsync("/v1/chat/completions", ShortAnswer, gone.Token);
        await server.WaitForAsync("num_requests_waiting", count => count == 1);

        using var refused = await server.PostAsync("/v1/chat/completions", ShortAnswer);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.True(refused.Headers.RetryAfter!.Delta >= TimeSpan.FromSeconds(1));
        var error = JsonNode.Parse(await refused.Content.ReadAsStringAsync())!["error"]!;
        Assert.Equal(("rate_limit_error", "engine_busy"), (error["type"]!.ToString(), error["code"]!.ToString()));

        running.Dispose();                                     // its place is free at once, and the one who waits gets it
        using var served = await waiting;
        Assert.Equal(HttpStatusCode.OK, served.StatusCode);
    }

    [Fact]
    public async Task ReaderThatReadsNothing_HoldsUpNobody()
    {
        await using var server = await TestServer.StartAsync(Models.Family("llama-tied"), new LlamaExecutorOptions { ContextTokens = 1024, MaxRunning = 1 });
        using var stalled = new TcpClient(server.Address.Host, server.Address.Port) { ReceiveBufferSize = 1024 };
        var body = LongAnswer.Replace("1500", "200", StringComparison.Ordinal);
        await stalled.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
        // With one place only, another request is served although nobody reads the first.
        await server.WaitForAsync("generation_tokens_total", tokens => tokens > 0);
        Assert.NotNull(await server.PostJsonAsync("/v1/chat/completions", ShortAnswer));
        await server.WaitForAsync("num_requests_running", running => running == 0);
        Assert.Equal(202, await server.MetricAsync("generation_tokens_total"));
    }

    [Fact]
    public async Task Secret_IsAskedOfEveryRequest()
    {
        await using var server = await TestServer.StartAsync(Models.Family("llama-tied"), secret: "right");
        Assert.NotNull(await server.PostJsonAsync("/v1/chat/completions", ShortAnswer));
        foreach (var header in new[] { null, "Bearer wrong", "Basic right", "Bearer " })
            foreach (var path in new[] { "/health", "/metrics", "/v1/models", "/nowhere" })
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(server.Address, path));
                if (header is not null) request.Headers.TryAddWithoutValidation("Authorization", header);
                using var stranger = new HttpClient();
                using var response = await stranger.SendAsync(request);
                Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
                Assert.Equal("invalid_api_key", JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!["code"]!.ToString());
            }
    }

    [Fact]
    public async Task CacheForFour_SixteenRequestsOverHttp_AllComplete()
    {
        await using var server = await TestServer.StartAsync(Models.Family("llama-tied"), new LlamaExecutorOptions { ContextTokens = 512, MaxRunning = 16 });
        var prompt = string.Join(' ', Enumerable.Range(0, 25).Select(i => $"word{i}"));
        var answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(i =>
            server.PostJsonAsync("/v1/completions", $$"""{"prompt":"{{i}} {{prompt}}","max_tokens":40,"ignore_eos":true}""")));
        Assert.All(answers, a => Assert.Equal(40, a["usage"]!["completion_tokens"]!.GetValue<int>()));
    }
}
