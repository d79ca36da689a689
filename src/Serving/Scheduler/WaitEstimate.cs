namespace TokenMill.Serving.Scheduler;

/// <summary>
/// How long a request that comes now would wait. R requests at once that run for D seconds each leave one by one every D / R seconds, and one
/// that has n before it waits for n + 1 of them to leave. Until the first has ended, D is at least what has passed since the first began.
/// Only requests that go before it count, those of its priority and above: batch requests run long, since they pause.
/// </summary>
internal sealed class WaitEstimate(TimeProvider time)
{
    private const double Weight = 0.1;
    private readonly Lock _gate = new();
    private readonly double?[] _meanSeconds = new double?[EngineMetrics.Priorities.Count];   // of the requests of a priority and those above it
    private readonly long?[] _firstStartedAt = new long?[EngineMetrics.Priorities.Count];

    public void Started(RequestPriority priority)
    {
        lock (_gate)
            for (var p = (int)priority; p < _firstStartedAt.Length; p++) _firstStartedAt[p] ??= time.GetTimestamp();
    }

    /// <summary>A request left by itself, so long after it was first computed.</summary>
    public void Ended(RequestPriority priority, TimeSpan ran)
    {
        lock (_gate)
            for (var p = (int)priority; p < _meanSeconds.Length; p++)
                _meanSeconds[p] = _meanSeconds[p] is { } mean ? mean + Weight * (ran.TotalSeconds - mean) : ran.TotalSeconds;
    }

    /// <summary>For a request of that priority; the two counts are of those that go before it.</summary>
    public TimeSpan Of(RequestPriority priority, int waitingBefore, int running)
    {
        lock (_gate)
        {
            var seconds = _meanSeconds[(int)priority] ?? (_firstStartedAt[(int)priority] is { } first ? time.GetElapsedTime(first).TotalSeconds : 0);
            return TimeSpan.FromSeconds(seconds * (waitingBefore + 1) / Math.Max(1, running));
        }
    }
}
