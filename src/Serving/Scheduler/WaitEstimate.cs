namespace TokenMill.Serving.Scheduler;

/// <summary>
/// How long a request that comes now would wait. R requests at once that run for D seconds each leave one by one every D / R seconds, and one
/// that has n before it waits for n + 1 of them to leave. Until the first has ended, D is at least what has passed since the first began.
/// </summary>
internal sealed class WaitEstimate(TimeProvider time)
{
    private const double Weight = 0.1;
    private readonly Lock _gate = new();
    private double? _meanSeconds;
    private long? _firstStartedAt;

    public void Started()
    {
        lock (_gate) _firstStartedAt ??= time.GetTimestamp();
    }

    /// <summary>A request left by itself, so long after it was first computed.</summary>
    public void Ended(TimeSpan ran)
    {
        lock (_gate) _meanSeconds = _meanSeconds is { } mean ? mean + Weight * (ran.TotalSeconds - mean) : ran.TotalSeconds;
    }

    public TimeSpan Of(int waitingBefore, int running)
    {
        lock (_gate)
        {
            var seconds = _meanSeconds ?? (_firstStartedAt is { } first ? time.GetElapsedTime(first).TotalSeconds : 0);
            return TimeSpan.FromSeconds(seconds * (waitingBefore + 1) / Math.Max(1, running));
        }
    }
}
