using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using TokenMill.Serving.Host;
using TokenMill.Serving.Llama;

namespace TokenMill.Serving.Tests.Host;

/// <summary>A whole server in this process, on a port of its own.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _serving;

    private TestServer(Uri address, Task serving, CancellationTokenSource stop, string? secret)
    {
        (Address, _serving, _stop) = (address, serving, stop);
        // By default a client that turns away goes on reading for two seconds, in the hope of keeping the connection.
        Client = new HttpClient(new SocketsHttpHandler { ResponseDrainTimeout = TimeSpan.Zero }) { BaseAddress = address };
        if (secret is not null) Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", secret);
    }

    public Uri Address { get; }
    public HttpClient Client { get; }

    public static async Task<TestServer> StartAsync(string model, LlamaExecutorOptions? executor = null, int? maxWaiting = null, string? secret = null, string? draft = null, params IReadOnlyList<NamedAdapter> adapters)
    {
        var options = new ServeOptions { ModelPath = model, Port = 0, Secret = secret, DraftPath = draft, Adapters = adapters, Executor = (executor ?? new LlamaExecutorOptions()) with { Threads = 1 } };
        if (maxWaiting is { } most) options = options with { MaxWaiting = most };
        var (stop, ready) = (new CancellationTokenSource(), new TaskCompletionSource<string>());
        var serving = new ServeProcess(options, new StartReport(ready.SetResult)).RunAsync(stop.Token);
        if (await Task.WhenAny(ready.Task, serving) == serving) await serving;
        return new TestServer(new Uri(await ready.Task), serving, stop, secret);
    }

    public Task<HttpResponseMessage> PostAsync(string path, string json, CancellationToken cancellationToken = default) =>
        Client.SendAsync(new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(json, Encoding.UTF8, "application/json") }, HttpCompletionOption.ResponseHeadersRead, cancellationToken);

    public async Task<JsonNode> PostJsonAsync(string path, string json)
    {
        using var response = await PostAsync(path, json);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    /// <summary>Data of the events of a stream, [DONE] included.</summary>
    public async Task<List<string>> StreamAsync(string path, string json)
    {
        using var response = await PostAsync(path, json);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        var text = await response.Content.ReadAsStringAsync();
        return [.. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(e => e["data: ".Length..])];
    }

    public async Task<double> MetricAsync(string name)
    {
        var text = await Client.GetStringAsync("/metrics");
        return double.Parse(Regex.Match(text, $@"^tokenmill_{name}(\{{[^}}]*\}})? (\S+)$", RegexOptions.Multiline).Groups[2].Value, CultureInfo.InvariantCulture);
    }

    /// <summary>Waits until a metric has a value; fails after ten seconds.</summary>
    public async Task WaitForAsync(string metric, Func<double, bool> wanted)
    {
        for (var attempt = 0; attempt < 200; attempt++)
        {
            if (wanted(await MetricAsync(metric))) return;
            await Task.Delay(50);
        }
        Assert.Fail($"{metric} stays at {await MetricAsync(metric)}");
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _stop.CancelAsync();
        await _serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }
}
