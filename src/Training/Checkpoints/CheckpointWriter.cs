namespace TokenMill.Training.Checkpoints;

/// <summary>
/// Writes checkpoints on a thread of its own while training goes on: training waits only for the copy of its tensors, and
/// for the write before if that has not ended.
/// </summary>
public sealed class CheckpointWriter(CheckpointStore store, Action<string, int> written) : IDisposable
{
    private Thread? _writing;
    private volatile Exception? _failure;

    public void Write(CheckpointStore.Snapshot snapshot)
    {
        Finish();
        _writing = new Thread(() =>
        {
            try
            {
                written(store.Write(snapshot), snapshot.Checkpoint.Step);
            }
            catch (Exception e)
            {
                _failure = e;                               // thrown where the run waits for it
            }
        }) { Name = "checkpoint" };
        _writing.Start();
    }

    /// <summary>Waits until what was given last is on disk.</summary>
    public void Finish()
    {
        _writing?.Join();
        _writing = null;
        ThrowIfFailed();
    }

    /// <summary>Throws what has gone wrong with a write, without waiting for one.</summary>
    public void ThrowIfFailed()
    {
        if (_failure is { } failure)
        {
            _failure = null;
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        }
    }

    public void Dispose() => _writing?.Join();
}
