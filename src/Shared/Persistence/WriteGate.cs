namespace TokenMill.Shared.Persistence;

/// <summary>
/// One writer at a time in this process, checkpoints of the write-ahead log included: SQLite 3.50.4 can lose a reset of the log
/// when two connections write or checkpoint at once. The lock on the data directory keeps other processes out.
/// </summary>
public sealed class WriteGate : IDisposable
{
    private readonly SemaphoreSlim _free = new(1, 1);

    public async Task<Pass> EnterAsync(CancellationToken cancellationToken)
    {
        await _free.WaitAsync(cancellationToken);
        return new Pass(this);
    }

    public void Dispose() => _free.Dispose();

    /// <summary>Leaves the gate when disposed.</summary>
    public sealed class Pass(WriteGate gate) : IDisposable
    {
        private WriteGate? _gate = gate;

        public void Dispose() => Interlocked.Exchange(ref _gate, null)?._free.Release();
    }
}
