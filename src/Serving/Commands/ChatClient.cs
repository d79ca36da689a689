using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using TokenMill.Serving.Host;
using TokenMill.Serving.Llama;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.Commands;

/// <summary>Streams answers from an OpenAI-compatible server; for a model file, from one in this process that nobody else can reach.</summary>
internal sealed class ChatClient : IAsyncDisposable
{
    private readonly HttpClient _http;
    private readonly string? _model;
    private readonly (CancellationTokenSource Stop, Task Server)? _own;

    public ChatClient(Uri server, string? model, string? apiKey)
    {
        _model = model;
        _http = new HttpClient { BaseAddress = ApiRoot(server), Timeout = Timeout.InfiniteTimeSpan };
        if (apiKey is not null) _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", apiKey);
    }

    private ChatClient(Uri server, string? model, string secret, CancellationTokenSource stop, Task serving) : this(server, model, secret) => _own = (stop, serving);

    /// <summary>People give a server's address with or without the API's own path.</summary>
    public static Uri ApiRoot(Uri server)
    {
        var root = server.AbsoluteUri.TrimEnd('/');
        return new Uri(root.EndsWith("/v1", StringComparison.Ordinal) ? root + "/" : root + "/v1/");
    }

    public static async Task<ChatClient> StartAsync(string modelPath, string? adapter, int? threads, CancellationToken cancellationToken)
    {
        const string adapterName = "adapter";
        var options = new ServeOptions
        {
            ModelPath = modelPath,
            Port = 0,
            Secret = Guid.NewGuid().ToString("N"),
            Adapters = adapter is null ? [] : [new NamedAdapter(adapterName, adapter)],
            Executor = new LlamaExecutorOptions { MaxRunning = 1, Threads = threads ?? Environment.ProcessorCount },
        };
        var ready = new TaskCompletionSource<string>();
        var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var serving = new ServeProcess(options, new StartReport(url: ready.SetResult)).RunAsync(stop.Token);
        await Task.WhenAny(ready.Task, serving);
        if (serving.IsCompleted) await serving;
        return new ChatClient(new Uri(await ready.Task), adapter is null ? null : adapterName, options.Secret, stop, serving);
    }

    /// <exception cref="RefusedException">The server refuses the request, or cannot be reached.</exception>
    public async IAsyncEnumerable<(string Text, bool IsReasoning)> StreamAsync(ChatCompletionRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var response = await SendAsync(request with { Model = _model }, cancellationToken);
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        await foreach (var item in SseParser.Create(stream).EnumerateAsync(cancellationToken))
        {
            if (item.Data == "[DONE]") yield break;
            using var data = JsonDocument.Parse(item.Data);
            if (data.RootElement.TryGetProperty("error", out var error)) throw new RefusedException("answer-failed", error.GetProperty("message").GetString() ?? "the server failed", "ask again");
            var choices = data.RootElement.GetProperty("choices");
            if (choices.GetArrayLength() == 0) continue;
            var delta = choices[0].GetProperty("delta");
            if (TextOf(delta, "reasoning_content") is { Length: > 0 } thought) yield return (thought, true);
            if (TextOf(delta, "content") is { Length: > 0 } text) yield return (text, false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        if (_own is not var (stop, serving)) return;
        await stop.CancelAsync();
        await serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        stop.Dispose();
    }

    private static string? TextOf(JsonElement delta, string name) => delta.TryGetProperty(name, out var value) ? value.GetString() : null;

    private async Task<HttpResponseMessage> SendAsync(ChatCompletionRequest request, CancellationToken cancellationToken)
    {
        try
        {
            using var message = new HttpRequestMessage(HttpMethod.Post, "chat/completions") { Content = JsonContent.Create(request, options: Json.Options) };
            var response = await _http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if (response.IsSuccessStatusCode) return response;
            using (response) throw new RefusedException("request-refused", await ReasonAsync(response, cancellationToken));
        }
        catch (HttpRequestException e)
        {
            throw new RefusedException(new Error("server-unreachable", $"{_http.BaseAddress} does not answer: {e.Message}", "check the address, and that the server runs"), e);
        }
    }

    private static async Task<string> ReasonAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var body = await response.Content.ReadAsStringAsync(cancellationToken);
        try
        {
            return Json.Deserialize<ErrorBody>(body).Error.Message;
        }
        catch (Exception e) when (e is JsonException or NullReferenceException)
        {
            return $"the server answered {(int)response.StatusCode}";
        }
    }
}
