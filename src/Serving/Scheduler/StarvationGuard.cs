namespace TokenMill.Serving.Scheduler;

/// <summary>
/// Sees to it that every request ends: of those that wait or pause, one that got no further for too long goes before all others until it ends.
/// One at a time, so that priorities and fairness hold for the others even when all are late; and a batch request only if none did for as long
/// as it has to wait itself, else a backlog of them would be ahead of interactive ones all the time.
/// </summary>
internal sealed class StarvationGuard(SchedulerOptions options, TimeProvider time)
{
    private EngineRequest? _overdue;
    private long _batchTurnEndedAt = time.GetTimestamp();

    /// <summary>The one that is overdue from now on, or null.</summary>
    public EngineRequest? Find(WaitingQueue waiting, RunningSet running)
    {
        if (_overdue is not null) return null;
        var now = time.GetTimestamp();
        var longest = TimeSpan.FromTicks(-1);                  // beyond what it has to bear
        foreach (var request in waiting.Requests) Compare(request);
        foreach (var request in running.Requests)
            if (running.IsPaused(request)) Compare(request);
        if (_overdue is not null) _overdue.IsOverdue = true;
        return _overdue;

        void Compare(EngineRequest request)
        {
            var isBatch = request.Priority == RequestPriority.Batch;
            if (isBatch && time.GetElapsedTime(_batchTurnEndedAt, now) < options.MaxBatchWait) return;
            var late = time.GetElapsedTime(request.ProgressedAt, now) - (isBatch ? options.MaxBatchWait : options.MaxWait);
            if (late > longest) (_overdue, longest) = (request, late);
        }
    }

    public void Ended(EngineRequest request)
    {
        if (request != _overdue) return;
        _overdue = null;
        if (request.Priority == RequestPriority.Batch) _batchTurnEndedAt = time.GetTimestamp();
    }
}
