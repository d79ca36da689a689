using System.Collections.Concurrent;

namespace TokenMill.Serving.Host;

/// <summary>
/// Requests that the platform named (header x-request-id) and may end by that name while it reads on: their answers then still say how
/// many tokens were made. A closed connection ends a request too, but nobody hears its last words.
/// </summary>
internal sealed class EndableRequests
{
    private const string Header = "x-request-id";
    private const int MaxNameLength = 128;

    private readonly ConcurrentDictionary<string, CancellationTokenSource> _named = new();

    /// <param name="handle">Gets what is cancelled when the request is to end: by its name, or because its client is gone.</param>
    public async Task RunAsync(HttpContext context, Func<CancellationToken, Task> handle)
    {
        var name = context.Request.Headers[Header].ToString();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        var isNamed = name.Length is > 0 and <= MaxNameLength && _named.TryAdd(name, end);   // a name that is taken means its first request
        try
        {
            await handle(end.Token);
        }
        finally
        {
            if (isNamed) _named.TryRemove(name, out _);
        }
    }

    /// <summary>False where no such request is under way.</summary>
    public bool TryEnd(string name)
    {
        if (!_named.TryGetValue(name, out var end)) return false;
        try
        {
            end.Cancel();
            return true;
        }
        catch (ObjectDisposedException)                        // it has just ended by itself
        {
            return false;
        }
    }
}
