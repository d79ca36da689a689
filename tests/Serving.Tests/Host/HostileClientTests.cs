using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Serving.Llama;

namespace TokenMill.Serving.Tests.Host;

/// <summary>Clients that send nonsense, go away at any moment, or hardly read: the others are served, and nothing is left behind.</summary>
public sealed class HostileClientTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const string Stream = """{"messages":[{"role":"user","content":"Tell me everything."}],"max_tokens":400,"ignore_eos":true,"stream":true}""";
    private const string Short = """{"messages":[{"role":"user","content":"Hi"}],"max_tokens":2}""";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(Models.Family("llama-tied"), new LlamaExecutorOptions { ContextTokens = 4096, MaxRunning = 8 });

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Bodies_OfEveryKindOfNonsense_AreRefusedAsOpenAiWould()
    {
        string Chat(string more) => $$"""{"messages":[{"role":"user","content":"a"}],{{more}}}""";
        var longText = string.Concat(Enumerable.Repeat("stop ", 10_000));
        foreach (var body in new[]
        {
            [.. "{\"messages\":[{\"role\":\"user\",\"content\":\""u8, 0xFF, 0xC0, 0x80, .. "\"}]}"u8],
            Encoding.UTF8.GetBytes(Chat($"\"stop\":\"{longText}\"")),
            Encoding.UTF8.GetBytes(Chat($"\"stop\":[{string.Join(',', Enumerable.Repeat("\"x\"", 10_000))}]")),
            Encoding.UTF8.GetBytes(Chat("\"stop\":[{}]")),
            Encoding.UTF8.GetBytes(Chat("\"max_tokens\":1e99")),
            Encoding.UTF8.GetBytes(Chat("\"max_tokens\":-1")),
            Encoding.UTF8.GetBytes(Chat("\"seed\":\"x\"")),
            Encoding.UTF8.GetBytes(Chat("\"n\":1000000")),
            Encoding.UTF8.GetBytes(Chat("\"logit_bias\":{\"-1\":1}")),
            Encoding.UTF8.GetBytes(Chat("\"logit_bias\":{\"1\":1e300}")),
            Encoding.UTF8.GetBytes(Chat("\"stream_options\":7")),
            Encoding.UTF8.GetBytes(Chat("\"tools\":[" + string.Concat(Enumerable.Repeat("[", 60)) + string.Concat(Enumerable.Repeat("]", 60)) + "]")),
            Encoding.UTF8.GetBytes(Chat("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":" + string.Concat(Enumerable.Repeat("{\"items\":", 500)) + "{}" + new string('}', 500) + "}}")),
            Encoding.UTF8.GetBytes(Chat("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"enum\":[" + string.Join(',', Enumerable.Range(0, 100_000)) + "]}}}")),
            Encoding.UTF8.GetBytes(Chat("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"$ref\":\"#\"}}}")),
            Encoding.UTF8.GetBytes($$"""{"messages":[{"role":"user","content":"{{longText}}"}]}"""),
            new byte[17 << 20],
        })
        {
            var clock = Stopwatch.StartNew();
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new ByteArrayContent(body) };
            request.Headers.ExpectContinue = true;             // what is too large is refused before it is sent
            using var response = await _server.Client.SendAsync(request);
            var error = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!.AsObject();
            Assert.Equal(["message", "type", "param", "code"], error.Select(p => p.Key));
            Assert.True(response.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.RequestEntityTooLarge, $"{response.StatusCode}: {error["message"]}");
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), $"refused after {clock.Elapsed}: {error["message"]}");
        }
    }

    [Fact]
    public async Task Disconnects_AtEveryStage_LeaveNothingBehind()
    {
        var head = $"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {Stream.Length}\r\n\r\n";
        var whole = head + Stream;
        foreach (var sent in new[] { 0, 5, head.Length / 2, head.Length, head.Length + Stream.Length / 2, whole.Length })
            foreach (var read in sent < whole.Length ? [0] : new[] { 0, 1, 300, 3_000 })
                foreach (var reset in new[] { false, true })
                {
                    using var client = new TcpClient(_server.Address.Host, _server.Address.Port);
                    if (reset) client.LingerState = new LingerOption(true, 0);           // a reset instead of a farewell
                    await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(whole[..sent]));
                    if (read > 0) await client.GetStream().ReadAtLeastAsync(new byte[read], read);
                }
        await _server.WaitForAsync("num_requests_running", running => running == 0);
        await _server.WaitForAsync("num_requests_waiting", waiting => waiting == 0);
        Assert.Equal(0, await _server.MetricAsync("kv_cache_usage_perc"));
        Assert.NotNull(await _server.PostJsonAsync("/v1/chat/completions", Short));
    }

    [Fact]
    public async Task FiveHundredConnections_AndReadersOfOneByte_HoldUpNobody()
    {
        var idle = new List<TcpClient>();
        try
        {
            for (var i = 0; i < 500; i++)
            {
                var client = new TcpClient { ReceiveBufferSize = 512 };
                idle.Add(client);
                await client.ConnectAsync(_server.Address.Host, _server.Address.Port);
                // A tenth asks and then reads a byte a second; the others never finish their question.
                var request = $"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {Stream.Length}\r\n\r\n{Stream}";
                await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(i % 10 == 0 ? request : request[..^50]));
            }
            using var stop = new CancellationTokenSource();
            var slow = Task.WhenAll(idle.Where((_, i) => i % 10 == 0).Select(async client =>
            {
                var one = new byte[1];
                while (!stop.IsCancellationRequested && await client.GetStream().ReadAsync(one) > 0) await Task.Delay(1_000);
            }));
            var clock = Stopwatch.StartNew();
            Assert.NotNull(await _server.PostJsonAsync("/v1/chat/completions", Short));
            output.WriteLine($"answered among 500 connections after {clock.Elapsed.TotalSeconds:0.0} s");
            await _server.WaitForAsync("num_requests_running", running => running == 0);
            await stop.CancelAsync();
        }
        finally
        {
            foreach (var client in idle) client.Dispose();
        }
        Assert.NotNull(await _server.PostJsonAsync("/v1/chat/completions", Short));
    }

    [Fact]
    public async Task FiveHundredRequestsAtOnce_AreAnsweredOrToldToWait()
    {
        var statuses = await Task.WhenAll(Enumerable.Range(0, 500).Select(async _ =>
        {
            using var response = await _server.PostAsync("/v1/chat/completions", Short);
            if (response.StatusCode == HttpStatusCode.TooManyRequests) Assert.True(response.Headers.RetryAfter!.Delta > TimeSpan.Zero);
            return response.StatusCode;
        }));
        output.WriteLine(string.Join(", ", statuses.GroupBy(s => s).Select(g => $"{g.Count()} × {(int)g.Key}")));
        Assert.All(statuses, s => Assert.True(s is HttpStatusCode.OK or HttpStatusCode.TooManyRequests));
        Assert.Contains(HttpStatusCode.OK, statuses);
    }
}
