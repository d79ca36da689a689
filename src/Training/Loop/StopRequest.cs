using System.Runtime.InteropServices;

namespace TokenMill.Training.Loop;

public enum StopReason
{
    /// <summary>A word on the parent's pipe, SIGINT or SIGTERM: save and end.</summary>
    Pause,

    /// <summary>A word on the parent's pipe: end, nothing more is wanted.</summary>
    Cancel,

    /// <summary>The parent's pipe has closed: save and end at once.</summary>
    ParentGone,
}

/// <summary>
/// Listens for whoever wants the run to end: signals, and with <c>--parent-pipe</c> the words pause and cancel on stdin or
/// its end. The first reason counts; only a cancel overrides a pause.
/// </summary>
public sealed class StopRequest : IDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<PosixSignalRegistration> _signals = [];
    private readonly Lock _lock = new();

    public CancellationToken Token => _stopping.Token;
    public StopReason? Reason { get; private set; }

    /// <summary>True when a signal asked, which the exit code tells (130).</summary>
    public bool BySignal { get; private set; }

    public void ListenToSignals()
    {
        foreach (var signal in new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM })
            _signals.Add(PosixSignalRegistration.Create(signal, context =>
            {
                context.Cancel = true;
                BySignal = true;
                Ask(StopReason.Pause);
            }));
    }

    /// <summary>Reads the parent's pipe on a thread of its own until it ends.</summary>
    public void ListenTo(TextReader parent) => new Thread(() =>
    {
        while (parent.ReadLine() is { } line)
        {
            if (line == "pause") Ask(StopReason.Pause);
            if (line == "cancel") Ask(StopReason.Cancel);
        }
        Ask(StopReason.ParentGone);
    }) { IsBackground = true, Name = "parent pipe" }.Start();

    public void Ask(StopReason reason)
    {
        lock (_lock)
            if (Reason is null || reason == StopReason.Cancel) Reason = reason;
        _stopping.Cancel();
    }

    public void Dispose()
    {
        foreach (var signal in _signals) signal.Dispose();
        _stopping.Dispose();
    }
}
