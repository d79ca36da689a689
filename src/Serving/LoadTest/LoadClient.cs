using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Serving.Commands;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.LoadTest;

/// <summary>Asks a server as many clients would, and writes down when the pieces of the answers came. Only what every OpenAI-compatible server takes is sent.</summary>
internal sealed class LoadClient : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private readonly HttpClient _http;
    private readonly TimeProvider _time;
    private long _start;

    public LoadClient(Uri server, string? apiKey, TimeProvider time)
    {
        (_time, _start) = (time, time.GetTimestamp());
        _http = new HttpClient { BaseAddress = ChatClient.ApiRoot(server), Timeout = Timeout.InfiniteTimeSpan };
        if (apiKey is not null) _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", apiKey);
    }

    /// <summary>The first model that the server offers.</summary>
    /// <exception cref="RefusedException">server-unreachable; no-model.</exception>
    public async Task<string> FirstModelAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var list = JsonDocument.Parse(await _http.GetStringAsync("models", cancellationToken));
            return list.RootElement.GetProperty("data")[0].GetProperty("id").GetString()!;
        }
        catch (HttpRequestException e)
        {
            throw new RefusedException(new Error("server-unreachable", $"{_http.BaseAddress}models does not answer: {e.Message}", "check the address, the key, and that the server runs"), e);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or IndexOutOfRangeException)
        {
            throw new RefusedException(new Error("no-model", $"{_http.BaseAddress}models lists no model", "name one with --model"), e);
        }
    }

    public async Task<IReadOnlyList<RequestTimes>> RunAsync(LoadPlan plan, string model, Action<int> progress, CancellationToken cancellationToken)
    {
        var (arrivals, prompts) = (plan.Arrivals(), plan.Prompts(cancellationToken));
        using var free = plan.RatePerSecond is null ? new SemaphoreSlim(plan.Clients) : null;
        var (running, ended) = (new List<Task<RequestTimes>>(), 0);
        _start = _time.GetTimestamp();
        for (var i = 0; i < plan.Requests; i++)
        {
            if (free is not null) await free.WaitAsync(cancellationToken);
            else if (arrivals[i] - Now is > 0 and var wait) await Task.Delay(TimeSpan.FromSeconds(wait), _time, cancellationToken);
            running.Add(RequestAsync(i, free is null ? arrivals[i] : Now));
        }
        return await Task.WhenAll(running);

        async Task<RequestTimes> RequestAsync(int index, double arrival)
        {
            var request = new ChatCompletionRequest { Messages = prompts[index], Model = model, Stream = true, StreamOptions = new() { IncludeUsage = true }, MaxTokens = plan.MaxTokens, Temperature = 0, Seed = plan.Seed };
            var times = await AskAsync(Body(request, plan.IgnoreEos), arrival, cancellationToken);
            free?.Release();
            progress(Interlocked.Increment(ref ended));
            return times;
        }
    }

    public void Dispose() => _http.Dispose();

    /// <summary>Seconds since the test began.</summary>
    public double Now => _time.GetElapsedTime(_start).TotalSeconds;

    /// <summary>One streamed chat, beginning at <paramref name="arrival"/>. What goes wrong is told by <see cref="RequestTimes.Failure"/>.</summary>
    public async Task<RequestTimes> AskAsync(JsonObject body, double arrival, CancellationToken cancellationToken)
    {
        var (chunks, text, prompt, output) = (new List<double>(), new StringBuilder(), 0, (int?)null);
        using var patience = new CancellationTokenSource(Patience, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        string? failure = null;
        try
        {
            using var message = new HttpRequestMessage(HttpMethod.Post, "chat/completions") { Content = JsonContent.Create(body) };
            using var response = await _http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, either.Token);
            if (response.IsSuccessStatusCode) await ReadAsync(response);
            else failure = $"http-{(int)response.StatusCode}";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            failure = "timeout";
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            failure = "connection";
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            failure = "stream-error";
        }
        return new RequestTimes(arrival, chunks, Now, prompt, output ?? chunks.Count, failure ?? (chunks.Count == 0 ? "no-tokens" : null)) { Text = text.ToString() };

        async Task ReadAsync(HttpResponseMessage response)
        {
            await using var stream = await response.Content.ReadAsStreamAsync(either.Token);
            await foreach (var item in SseParser.Create(stream).EnumerateAsync(either.Token))
            {
                if (item.Data == "[DONE]") return;
                using var data = JsonDocument.Parse(item.Data);
                if (data.RootElement.TryGetProperty("usage", out var usage) && usage.ValueKind == JsonValueKind.Object)
                    (prompt, output) = (usage.GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("completion_tokens").GetInt32());
                if (HoldsText(data.RootElement.GetProperty("choices"), text)) chunks.Add(Now);
            }
            failure = "stream-error";                          // it ended without [DONE]
        }
    }

    /// <summary>Servers other than ours may refuse what OpenAI does not have, so it is sent only if wanted.</summary>
    private static JsonObject Body(ChatCompletionRequest request, bool ignoreEos)
    {
        var body = JsonSerializer.SerializeToNode(request, Json.Options)!.AsObject();
        if (!ignoreEos) body.Remove("ignore_eos");
        else body["ignore_eos"] = true;
        return body;
    }

    private static bool HoldsText(JsonElement choices, StringBuilder content)
    {
        if (choices.GetArrayLength() == 0) return false;
        var delta = choices[0].GetProperty("delta");
        if (delta.TryGetProperty("content", out var piece) && piece.ValueKind == JsonValueKind.String) content.Append(piece.GetString());
        return Has("content") || Has("reasoning_content") || delta.TryGetProperty("tool_calls", out var calls) && calls.ValueKind == JsonValueKind.Array;

        bool Has(string name) => delta.TryGetProperty(name, out var text) && text.ValueKind == JsonValueKind.String && text.GetString()!.Length > 0;
    }
}
