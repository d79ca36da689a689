namespace TokenMill.Web.Nodes;

/// <summary>
/// Few cores, two consumers. ggml's threads spin at barriers: as soon as one of them loses its core to the trainer, all wait,
/// and generation slows by an order of magnitude. So every engine keeps to one thread while anything trains,
/// and gets its cores back afterwards. How that one thread and the trainer share is a matter of <see cref="Priority"/>.
/// </summary>
public sealed partial class CoreSharing(MachineFacts machine, ILogger<CoreSharing> log)
{
    private readonly Lock _lock = new();
    private readonly HashSet<ServingProcess> _engines = [];
    private int _trainings;

    /// <summary>Threads of an engine that starts now.</summary>
    public int ServingThreads
    {
        get
        {
            lock (_lock) return _trainings > 0 ? 1 : Math.Max(1, machine.Cores);
        }
    }

    /// <summary>Training runs until the answer is disposed.</summary>
    public async Task<IAsyncDisposable> TrainingAsync()
    {
        await ChangeAsync(+1);
        return new Training(this);
    }

    /// <summary>Follow this engine until it is disposed or removed.</summary>
    public async Task AddAsync(ServingProcess engine, CancellationToken cancellationToken)
    {
        int threads;
        lock (_lock)
        {
            _engines.Add(engine);
            threads = ServingThreads;
        }
        await engine.SetThreadsAsync(threads, cancellationToken);      // a training may have begun since it was started
        _ = engine.Exited.ContinueWith(_ => Remove(engine), TaskScheduler.Default);
    }

    private void Remove(ServingProcess engine)
    {
        lock (_lock) _engines.Remove(engine);
    }

    private async Task ChangeAsync(int by)
    {
        ServingProcess[] engines;
        int before, after;
        lock (_lock)
        {
            before = ServingThreads;
            _trainings += by;
            after = ServingThreads;
            engines = [.. _engines];
        }
        if (before == after) return;
        foreach (var engine in engines)
            if (!await engine.SetThreadsAsync(after, CancellationToken.None)) LogUnchanged(log, engine.Id, after);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Serving process {ProcessId} did not take its new number of threads ({Threads})")]
    private static partial void LogUnchanged(ILogger logger, int processId, int threads);

    private sealed class Training(CoreSharing owner) : IAsyncDisposable
    {
        private int _ended;

        public async ValueTask DisposeAsync()
        {
            if (Interlocked.Exchange(ref _ended, 1) == 0) await owner.ChangeAsync(-1);
        }
    }
}
