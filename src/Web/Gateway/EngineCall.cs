namespace TokenMill.Web.Gateway;

/// <summary>
/// One request to an engine. When its caller goes away the engine is told to end it, and is still listened to: its last words hold the
/// count of what it made. Reading ends by <see cref="Abandoned"/> only if they do not come.
/// </summary>
public sealed class EngineCall : IAsyncDisposable
{
    private const string RequestIdHeader = "x-request-id";
    private static readonly TimeSpan LastWordsTimeout = TimeSpan.FromSeconds(10);         // a step of a large model may take seconds

    private readonly HttpClient _engine;
    private readonly HttpRequestMessage _request;
    private readonly string _requestId;
    private readonly CancellationToken _caller;
    private readonly CancellationTokenSource _abandoned = new();
    private readonly CancellationTokenRegistration _whenCallerGoes;
    private Task _ending = Task.CompletedTask;

    public EngineCall(HttpClient engine, string path, HttpContent body, string requestId, CancellationToken caller)
    {
        (_engine, _requestId, _caller) = (engine, requestId, caller);
        _request = new HttpRequestMessage(HttpMethod.Post, path) { Content = body };
        _request.Headers.Add(RequestIdHeader, requestId);
        _whenCallerGoes = caller.Register(() => _ending = EndAsync());
    }

    public CancellationToken Abandoned => _abandoned.Token;

    /// <exception cref="OperationCanceledException">The caller has gone already, or the engine was abandoned.</exception>
    public Task<HttpResponseMessage> SendAsync()
    {
        _caller.ThrowIfCancellationRequested();
        return _engine.SendAsync(_request, HttpCompletionOption.ResponseHeadersRead, Abandoned);
    }

    public async ValueTask DisposeAsync()
    {
        await _whenCallerGoes.DisposeAsync();
        await _ending;
        _request.Dispose();
        _abandoned.Dispose();
    }

    private async Task EndAsync()
    {
        _abandoned.CancelAfter(LastWordsTimeout);
        try
        {
            // Not found: it has just ended by itself, and its last words are on their way.
            using var response = await _engine.PostAsJsonAsync("/internal/end", new { request_id = _requestId }, Abandoned);
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or ObjectDisposedException)
        {
            await _abandoned.CancelAsync();                    // the engine does not listen, or is gone
        }
    }
}
