using System.Runtime.CompilerServices;
using System.Text;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Features.Playground;

/// <summary>
/// An answer while it is made: text that only grows, and whoever wants to read it from any place on. Readers come and go;
/// the answer does not notice.
/// </summary>
public sealed class LiveGeneration(Generation generation)
{
    private readonly Lock _lock = new();
    private readonly StringBuilder _text = new();
    private readonly CancellationTokenSource _stop = new();
    private TaskCompletionSource _grown = NewSignal();
    private bool _ended;

    public GenerationId Id { get; } = generation.Id;
    public WorkspaceId WorkspaceId { get; } = generation.WorkspaceId;

    /// <summary>Cancelled when somebody stops the answer.</summary>
    public CancellationToken Stopped => _stop.Token;

    public string Text
    {
        get
        {
            lock (_lock) return _text.ToString();
        }
    }

    public void Append(string text)
    {
        lock (_lock) _text.Append(text);
        Signal();
    }

    /// <summary>No text comes any more; readers get the rest and end.</summary>
    public void End()
    {
        lock (_lock) _ended = true;
        Signal();
    }

    public Task StopAsync() => _stop.CancelAsync();

    /// <summary>Everything from <paramref name="offset"/> (UTF-16 units) on, as it comes. Never cuts a surrogate pair, since the engine never does.</summary>
    public async IAsyncEnumerable<string> ReadAsync(int offset, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            string next;
            bool ended;
            Task grown;
            lock (_lock)
            {
                var from = Math.Clamp(offset, 0, _text.Length);
                (next, ended, grown) = (_text.ToString(from, _text.Length - from), _ended, _grown.Task);
                offset = _text.Length;
            }
            if (next.Length > 0) yield return next;
            if (ended) yield break;
            await grown.WaitAsync(cancellationToken);
        }
    }

    private void Signal()
    {
        TaskCompletionSource grown;
        lock (_lock) (grown, _grown) = (_grown, NewSignal());
        grown.SetResult();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
