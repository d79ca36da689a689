using System.Runtime.InteropServices;

namespace TokenMill.Serving.Commands;

/// <summary>SIGINT and SIGTERM as a token. A command may take Ctrl-C for itself for a while.</summary>
internal sealed class InterruptSignal : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration _interrupt, _terminate;

    public InterruptSignal()
    {
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context =>
        {
            context.Cancel = true;
            if (Intercept?.Invoke() != true) _source.Cancel();
        });
        _terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            _source.Cancel();
        });
    }

    public CancellationToken Token => _source.Token;

    /// <summary>Asked first at Ctrl-C; true: it is dealt with.</summary>
    public Func<bool>? Intercept { get; set; }

    public void Dispose()
    {
        _interrupt.Dispose();
        _terminate.Dispose();
        _source.Dispose();
    }
}
