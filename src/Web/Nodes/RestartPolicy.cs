namespace TokenMill.Web.Nodes;

/// <summary>
/// When a crashed child is started again: with a growing pause, and not at all after <see cref="MaxCrashes"/> crashes
/// within <see cref="Window"/> without having worked in between, since what crashes every time (a poison job, a model the engine
/// cannot hold) would do so for ever. What has worked is always tried again.
/// Holds the crashes of one child; not safe for several threads.
/// </summary>
public sealed class RestartPolicy(TimeProvider time)
{
    public const int MaxCrashes = 3;
    public static readonly TimeSpan Window = TimeSpan.FromMinutes(10), FirstPause = TimeSpan.FromSeconds(1);

    private readonly Queue<DateTimeOffset> _crashes = new();

    /// <summary>It reached what it was started for: earlier crashes are forgotten.</summary>
    public void Worked() => _crashes.Clear();

    /// <summary>Notes a crash. The pause before the next start, or null when there is none.</summary>
    public TimeSpan? AfterCrash()
    {
        var now = time.GetUtcNow();
        while (_crashes.TryPeek(out var oldest) && now - oldest > Window) _crashes.Dequeue();
        _crashes.Enqueue(now);
        return _crashes.Count >= MaxCrashes ? null : FirstPause * Math.Pow(4, _crashes.Count - 1);
    }
}
