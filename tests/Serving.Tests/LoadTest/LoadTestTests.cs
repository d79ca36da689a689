using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using TokenMill.Serving.LoadTest;
using TokenMill.Serving.Tests.Host;
using TokenMill.Shared;

namespace TokenMill.Serving.Tests.LoadTest;

/// <summary>The load test itself: its arithmetic on times that are known, and what it sees of servers whose pace and faults are known.</summary>
public sealed class LoadTestTests(ITestOutputHelper output)
{
    private static readonly ServiceObjectives Anything = new(null, null, null);

    [Fact]
    public void Report_OfKnownTimes_IsExact()
    {
        // Three tokens each; one is slow to begin, one slow to go on, one failed.
        RequestTimes[] times =
        [
            new(0, [0.1, 0.2, 0.3], 0.3, 10, 3, null),
            new(1, [2.0, 2.1, 2.2], 2.2, 10, 3, null),
            new(1, [1.1, 1.6, 2.5], 2.5, 10, 3, null),
            new(3, [], 4, 0, 0, "http-429"),
        ];
        var report = LoadReport.Of(new Uri("http://x"), "m", new LoadPlan(), new ServiceObjectives(500, 200, null), times);

        Assert.Equal((4, 3, 30, 9), (report.Requests, report.Completed, report.PromptTokens, report.OutputTokens));
        Assert.Equal(1, report.Failures["http-429"]);
        Assert.Equal((4, 0.75, 2.25, 0.25), (report.DurationSeconds, report.RequestsPerSecond, report.OutputTokensPerSecond, report.GoodputRequestsPerSecond));
        AssertMs((400, 100, 1000), report.TtftMs!);
        AssertMs((300, 100, 700), report.TpotMs!);
        AssertMs((300, 100, 900), report.ItlMs!);
        AssertMs((1000, 1200, 1500), report.E2eMs!);
        Assert.Equal(910, report.TtftMs!.P95, 6);              // nine tenths of the way from 100 to 1000

        static void AssertMs((double Mean, double P50, double Max) expected, Distribution actual)
        {
            Assert.Equal(expected.Mean, actual.Mean, 6);
            Assert.Equal(expected.P50, actual.P50, 6);
            Assert.Equal(expected.Max, actual.Max, 6);
        }
    }

    [Fact]
    public void Arrivals_ArePoisson_AndRepeatWithTheSeed()
    {
        var plan = new LoadPlan { Requests = 20_000, RatePerSecond = 4, Seed = 7 };
        var arrivals = plan.Arrivals();
        Assert.Equal(arrivals, plan.Arrivals());
        Assert.NotEqual(arrivals, (plan with { Seed = 8 }).Arrivals());
        var gaps = arrivals.Prepend(0).Zip(arrivals, (a, b) => b - a).ToArray();
        Assert.All(gaps, g => Assert.True(g >= 0));
        // Exponential gaps: the mean and the deviation are both 1/4 s.
        var mean = gaps.Average();
        Assert.InRange(mean, 0.24, 0.26);
        Assert.InRange(Math.Sqrt(gaps.Average(g => (g - mean) * (g - mean))), 0.24, 0.26);

        var prompts = (plan with { Requests = 3, SharedWords = 5 }).Prompts(CancellationToken.None);
        Assert.Single(prompts.Select(p => p[0]!["content"]!.ToString()).Distinct());
        Assert.Equal(3, prompts.Select(p => p[1]!["content"]!.ToString()).Distinct().Count());
    }

    [Fact]
    public async Task Server_OfKnownPace_IsSeenAsItIs()
    {
        const int tokens = 5;
        await using var server = await ScriptedServer.StartAsync(tokens, TimeSpan.FromMilliseconds(150), TimeSpan.FromMilliseconds(40));
        var plan = new LoadPlan { Requests = 9, Clients = 3, MaxTokens = tokens };
        using var client = new LoadClient(server.Address, null, TimeProvider.System);
        var model = await client.FirstModelAsync(CancellationToken.None);
        var report = LoadReport.Of(server.Address, model, plan, Anything, await client.RunAsync(plan, model, _ => { }, CancellationToken.None));

        output.WriteLine(report.ToText());
        // Every third request is refused and every third cut off.
        Assert.Equal(("scripted", 3, 3, 3), (report.Model, report.Completed, report.Failures["http-429"], report.Failures["stream-error"]));
        Assert.Equal((3 * 7, 3 * tokens), (report.PromptTokens, report.OutputTokens));
        // Timers are never early (but by a tick of a millisecond or two); a busy machine makes them late.
        Assert.True(report.TtftMs!.P50 > 140 && report.ItlMs!.P50 > 30 && report.TpotMs!.P50 > 30 && report.E2eMs!.P50 > 140 + 4 * 35);
        Assert.Equal(3, server.MostAtOnce);
    }

    [Fact]
    public async Task Command_TestsOurServer_ByTheClock()
    {
        await using var server = await TestServer.StartAsync(Models.Family("llama-tied"));
        using var child = Process.Start(new ProcessStartInfo("dotnet", [Installation.Program("Serving"), "bench", "serve", server.Address.ToString(), "--requests", "6", "--rate", "50", "--max-tokens", "4", "--prompt-words", "5", "--ignore-eos", "--ttft-ms", "0.001", "--json"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = child.StandardError.ReadToEndAsync();
        var text = await child.StandardOutput.ReadToEndAsync();
        await child.WaitForExitAsync();
        Assert.True(child.ExitCode == 0, await errors);
        var report = JsonNode.Parse(text)!;
        Assert.Equal((6, 24, 50.0), (report["completed"]!.GetValue<int>(), report["output_tokens"]!.GetValue<int>(), report["rate_per_second"]!.GetValue<double>()));
        Assert.Equal(0, report["goodput_requests_per_second"]!.GetValue<double>());
    }

    /// <summary>Streams like an OpenAI server at a set pace: of three requests one is answered, one refused, one cut off.</summary>
    private sealed class ScriptedServer : IAsyncDisposable
    {
        private readonly WebApplication _app;
        private int _requests, _atOnce;

        private ScriptedServer(WebApplication app) => _app = app;

        public Uri Address => new(_app.Urls.First());
        public int MostAtOnce { get; private set; }

        public static async Task<ScriptedServer> StartAsync(int tokens, TimeSpan first, TimeSpan gap)
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
            var server = new ScriptedServer(builder.Build());
            server._app.MapGet("/v1/models", () => new { data = new[] { new { id = "scripted" } } });
            server._app.MapPost("/v1/chat/completions", context => server.AnswerAsync(context, tokens, first, gap));
            await server._app.StartAsync();
            return server;
        }

        public ValueTask DisposeAsync() => _app.DisposeAsync();

        private async Task AnswerAsync(HttpContext context, int tokens, TimeSpan first, TimeSpan gap)
        {
            int kind;
            lock (_app)
            {
                kind = _requests++ % 3;
                MostAtOnce = Math.Max(MostAtOnce, ++_atOnce);
            }
            if (kind == 1) context.Response.StatusCode = 429;
            else await StreamAsync(context.Response, kind == 0 ? tokens : 2, whole: kind == 0, first, gap);
            lock (_app) _atOnce--;                             // before the client can know
            if (kind == 0) await WriteAsync(context.Response, "[DONE]");
        }

        private static async Task StreamAsync(HttpResponse response, int tokens, bool whole, TimeSpan first, TimeSpan gap)
        {
            response.ContentType = "text/event-stream";
            await WriteAsync(response, """{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}""");   // no token yet
            for (var i = 0; i < tokens; i++)
            {
                await Task.Delay(i == 0 ? first : gap);
                await WriteAsync(response, """{"choices":[{"index":0,"delta":{"content":"x"}}]}""");
            }
            if (!whole) return;
            await WriteAsync(response, $$"""{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":{{tokens}},"total_tokens":{{tokens + 7}} } }""");
        }

        private static async Task WriteAsync(HttpResponse response, string data)
        {
            await response.WriteAsync($"data: {data}\n\n");
            await response.Body.FlushAsync();
        }
    }
}
