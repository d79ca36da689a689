namespace TokenMill.Web.Jobs;

/// <summary>
/// "Something about this subject changed", within this process: pages subscribe to a run, a workspace …, and read the new state
/// from the database themselves. Each subscriber is told at most four times a second, and always once after the last change.
/// </summary>
public sealed partial class ChangeFeed(TimeProvider time, ILogger<ChangeFeed> log)
{
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    private readonly Lock _lock = new();
    private readonly Dictionary<Guid, List<Subscription>> _subscriptions = [];

    /// <summary><paramref name="changed"/> is called on a pool thread, never twice at once. Dispose to unsubscribe.</summary>
    public IDisposable Subscribe(Guid subject, Func<Task> changed)
    {
        var subscription = new Subscription(this, subject, changed);
        lock (_lock)
        {
            if (!_subscriptions.TryGetValue(subject, out var list)) _subscriptions[subject] = list = [];
            list.Add(subscription);
        }
        return subscription;
    }

    public void Publish(Guid subject)
    {
        Subscription[] told;
        lock (_lock) told = _subscriptions.TryGetValue(subject, out var list) ? [.. list] : [];
        foreach (var subscription in told) subscription.Notify();
    }

    private async Task<bool> TellAsync(Func<Task> changed)
    {
        try
        {
            await changed();
            await Task.Delay(Interval, time);
            return true;
        }
        catch (Exception e)
        {
            // A page that broke must not break what it watched.
            LogSubscriberFailed(log, e);
            return false;
        }
    }

    private void Remove(Subscription subscription)
    {
        lock (_lock)
        {
            if (!_subscriptions.TryGetValue(subscription.Subject, out var list)) return;
            list.Remove(subscription);
            if (list.Count == 0) _subscriptions.Remove(subscription.Subject);
        }
    }

    private sealed class Subscription(ChangeFeed feed, Guid subject, Func<Task> changed) : IDisposable
    {
        private const int Idle = 0, Busy = 1, BusyAndChanged = 2, Ended = 3;
        private int _state;

        public Guid Subject => subject;

        public void Notify()
        {
            while (true)
            {
                var state = Volatile.Read(ref _state);
                if (state is Ended or BusyAndChanged) return;
                if (Interlocked.CompareExchange(ref _state, state == Idle ? Busy : BusyAndChanged, state) != state) continue;
                if (state == Idle) _ = Task.Run(DeliverAsync);
                return;
            }
        }

        public void Dispose()
        {
            Interlocked.Exchange(ref _state, Ended);
            feed.Remove(this);
        }

        private async Task DeliverAsync()
        {
            do
            {
                // What comes while the subscriber works or rests is told with the next call.
                Interlocked.CompareExchange(ref _state, Busy, BusyAndChanged);
                if (!await feed.TellAsync(changed))
                {
                    Dispose();
                    return;
                }
            }
            while (Interlocked.CompareExchange(ref _state, Idle, Busy) == BusyAndChanged);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "A subscriber failed on a change; it is told nothing more")]
    private static partial void LogSubscriberFailed(ILogger logger, Exception exception);
}
