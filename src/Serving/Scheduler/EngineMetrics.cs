namespace TokenMill.Serving.Scheduler;

/// <summary>What the engine counts. Written by its thread, read by any.</summary>
public sealed class EngineMetrics
{
    public static readonly IReadOnlyList<RequestPriority> Priorities = Enum.GetValues<RequestPriority>();

    private readonly int[] _running = new int[Priorities.Count], _waiting = new int[Priorities.Count];
    private long _promptTokens, _generatedTokens, _steps, _finished, _cancelled, _failed, _refused;

    public Histogram TimeToFirstToken { get; } = new(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60);
    public Histogram InterTokenLatency { get; } = new(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5);
    public Histogram RequestLatency { get; } = new(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300);
    public Histogram QueueTime { get; } = new(0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60);

    /// <summary>Prompt tokens computed (found ones are not).</summary>
    public long PromptTokens => Volatile.Read(ref _promptTokens);

    /// <summary>Tokens sampled.</summary>
    public long GeneratedTokens => Volatile.Read(ref _generatedTokens);
    public long Steps => Volatile.Read(ref _steps);
    public long Finished => Volatile.Read(ref _finished);
    public long Cancelled => Volatile.Read(ref _cancelled);
    public long Failed => Volatile.Read(ref _failed);
    public long Refused => Volatile.Read(ref _refused);

    public int Running => RunningUpTo(RequestPriority.Batch);
    public int Waiting => WaitingUpTo(RequestPriority.Batch);
    public int CacheTokensUsed { get; internal set; }
    public int CacheTokensPinned { get; internal set; }
    public int CacheTokensCapacity { get; internal set; }
    public long Preemptions { get; internal set; }
    public long PrefixTokensAsked { get; internal set; }
    public long PrefixTokensFound { get; internal set; }
    public long TokensGuessed { get; internal set; }
    public long GuessesAccepted { get; internal set; }
    public int AdaptersLoaded { get; internal set; }
    public long AdapterLoads { get; internal set; }

    public int RunningOf(RequestPriority priority) => Volatile.Read(ref _running[(int)priority]);

    public int WaitingOf(RequestPriority priority) => Volatile.Read(ref _waiting[(int)priority]);

    /// <summary>Of that priority and of those that go before it.</summary>
    public int RunningUpTo(RequestPriority priority) => Priorities.Where(p => p <= priority).Sum(RunningOf);

    public int WaitingUpTo(RequestPriority priority) => Priorities.Where(p => p <= priority).Sum(WaitingOf);

    internal void SetRequests(RequestPriority priority, int running, int waiting)
    {
        Volatile.Write(ref _running[(int)priority], running);
        Volatile.Write(ref _waiting[(int)priority], waiting);
    }

    internal void CountStep(int promptTokens)
    {
        Interlocked.Increment(ref _steps);
        Interlocked.Add(ref _promptTokens, promptTokens);
    }

    internal void CountToken() => Interlocked.Increment(ref _generatedTokens);

    internal void CountRefused() => Interlocked.Increment(ref _refused);

    internal void CountEnd(EndReason reason) =>
        Interlocked.Increment(ref reason == EndReason.Cancelled ? ref _cancelled : ref reason == EndReason.Failed ? ref _failed : ref _finished);
}
