using TokenMill.Serving.PrefixCache;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Scheduler;

/// <summary>
/// The engine's thread: takes what other threads have posted, plans a step, lets the runner compute it, hands out the logits.
/// It alone touches the scheduler and the runner. Requests are submitted and cancelled from any thread.
/// </summary>
public sealed class EngineLoop : IDisposable
{
    private const double MostRetrySeconds = 60;                // OpenAI's clients ignore a Retry-After that is longer

    private static readonly Error Stopped = new("engine-stopped", "the engine is shutting down", "ask again in a moment");

    private readonly IModelExecutor _executor;
    private readonly DraftModel? _draft;
    private readonly SchedulerOptions _options;
    private readonly TimeProvider _time;
    private readonly RequestScheduler _scheduler;
    private readonly Thread _thread;
    private readonly AutoResetEvent _wake = new(false);
    private readonly TaskCompletionSource<Exception?> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SequenceTransfer _transfer;
    private readonly WaitEstimate _wait;
    private readonly Lock _gate = new();                       // guards the four below
    private readonly Queue<EngineRequest> _submitted = new();
    private readonly Queue<Action> _posted = new();
    private readonly int[] _present = new int[EngineMetrics.Priorities.Count];   // requests that have not ended, by priority
    private bool _stopping;

    /// <param name="draft">A smaller model that guesses what the other one will answer; its first tokens mean the same.</param>
    public EngineLoop(IModelExecutor executor, SchedulerOptions options, TimeProvider time, IModelExecutor? draft = null)
    {
        (_executor, _options, _time) = (executor, options, time);
        _draft = draft is null ? null : new DraftModel(draft, Math.Min(draft.VocabularySize, executor.VocabularySize), time);
        _scheduler = new RequestScheduler(executor, options, time, _draft);
        _transfer = new SequenceTransfer(_scheduler, executor);
        _wait = new WaitEstimate(time);
        _scheduler.Sampled += OnSampled;
        _scheduler.Ended += OnEnded;
        Metrics.CacheTokensCapacity = executor.CapacityTokens;
        _thread = new Thread(Run) { Name = "engine", IsBackground = true };
        _thread.Start();
    }

    public EngineMetrics Metrics { get; } = new();

    /// <summary>Ends when the engine does: with null when it was disposed, with the exception that broke it otherwise.</summary>
    public Task<Exception?> Ended => _ended.Task;

    /// <summary>The longest sequence, prompt and answer together.</summary>
    public int MaxSequenceTokens => Math.Min(_executor.MaxSequenceTokens, _executor.CapacityTokens);

    /// <exception cref="RefusedException">context-length-exceeded, unknown-token, engine-busy (the queue is full), engine-stopped.</exception>
    public void Submit(EngineRequest request)
    {
        if (RequestScheduler.Unservable(request, _executor) is { } error) throw Refuse(error);
        lock (_gate)
        {
            if (_stopping) throw Refuse(Stopped);
            // Those that would go before it: an interactive one finds room behind any number of batch requests.
            var present = EngineMetrics.Priorities.Where(p => p <= request.Priority).Sum(p => _present[(int)p]);
            if (present >= _options.MaxWaiting + _options.MaxRunning) throw Refuse(Busy(request.Priority, present));
            _present[(int)request.Priority]++;
            request.SubmittedAt = _time.GetTimestamp();
            _submitted.Enqueue(request);
        }
        _wake.Set();
    }

    /// <summary>Ends a request before the next step, wherever it is; does nothing if it has ended.</summary>
    public void Cancel(EngineRequest request) => TryPost(() => _scheduler.End(request, EndReason.Cancelled));

    /// <summary>For an adapter under which no more requests come. <paramref name="done"/> is called when its last one has ended and nothing of it is left, if the engine lives so long.</summary>
    public void RetireAdapter(string adapter, Action done) => TryPost(() => _scheduler.Retire(adapter, done));

    /// <summary>See <see cref="IModelExecutor.StateFormat"/>.</summary>
    public string? StateFormat => _executor.StateFormat;

    /// <summary>The state of the longest held prefix of the tokens, and how long that is.</summary>
    /// <exception cref="RefusedException">state-not-movable, state-not-held, state-too-large, state-not-saved, engine-busy, engine-stopped.</exception>
    public Task<(int Tokens, byte[] State)> SaveAsync(CacheKey key, int[] tokens, int mostBytes) => Call(() => _transfer.Save(key, tokens, mostBytes));

    /// <exception cref="RefusedException">state-not-movable, state-refused, context-length-exceeded, engine-busy, engine-stopped.</exception>
    public Task RestoreAsync(CacheKey key, int[] tokens, byte[] state) => Call(() =>
    {
        _transfer.Restore(key, tokens, state);
        return true;
    });

    /// <summary>Does something on the engine's thread, between two steps.</summary>
    public Task<T> Call<T>(Func<T> work)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!TryPost(() => Complete(work, done))) done.SetException(new RefusedException(Stopped));
        return done.Task;
    }

    public void Dispose()
    {
        lock (_gate) _stopping = true;
        _wake.Set();
        _thread.Join();
        _wake.Dispose();
    }

    private static void Complete<T>(Func<T> work, TaskCompletionSource<T> done)
    {
        try
        {
            done.SetResult(work());
        }
        catch (Exception e)
        {
            done.SetException(e);
            if (e is not RefusedException) throw;
        }
    }

    private Error Busy(RequestPriority priority, int present)
    {
        var running = Metrics.RunningUpTo(priority);
        var waiting = present - running;
        var wait = _wait.Of(priority, waiting, running);
        var seconds = Math.Ceiling(Math.Clamp(wait.TotalSeconds, 1, MostRetrySeconds));
        return new Error("engine-busy", $"{waiting} requests wait already, a new one would wait for about {Math.Max(1, wait.TotalSeconds):0} s", $"ask again in {seconds:0} s") { RetryAfter = TimeSpan.FromSeconds(seconds) };
    }

    private RefusedException Refuse(Error error)
    {
        Metrics.CountRefused();
        return new RefusedException(error);
    }

    private bool TryPost(Action action)
    {
        lock (_gate)
        {
            if (_stopping) return false;
            _posted.Enqueue(action);
        }
        _wake.Set();
        return true;
    }

    private void Run()
    {
        Exception? broken = null;
        try
        {
            while (TakePosted())
            {
                var plan = _scheduler.Plan();
                Publish();
                if (plan is null) _wake.WaitOne();
                else Step(plan);
            }
        }
        catch (Exception e)                                    // whatever it is, those who wait are told, and the host (Ended) exits
        {
            broken = e;
        }
        Close(broken is null ? Stopped : new Error("engine-failed", "the engine broke down", "ask again in a moment, the server restarts"));
        _ended.SetResult(broken);
    }

    private bool TakePosted()
    {
        lock (_gate)
        {
            if (_stopping) return false;
            while (_submitted.TryDequeue(out var request)) _scheduler.Submit(request);
        }
        while (NextPosted() is { } action) action();
        return true;
    }

    private Action? NextPosted()
    {
        lock (_gate) return _posted.TryDequeue(out var action) ? action : null;
    }

    private void Step(StepPlan plan)
    {
        var now = _time.GetTimestamp();
        var promptTokens = 0;
        for (var i = 0; i < plan.Parts.Count; i++)
        {
            var request = plan.Requests[i];
            promptTokens += Math.Clamp(request.PromptTokens - plan.Parts[i].Position, 0, plan.Parts[i].Tokens.Length);
            if (request.StartedAt is not null) continue;
            request.StartedAt = now;
            _wait.Started(request.Priority);
            Metrics.QueueTime.Observe(_time.GetElapsedTime(request.SubmittedAt, now));
        }
        if (_executor.Execute(plan) == StepOutcome.CacheFull)
        {
            _scheduler.Retry();
            return;
        }
        Metrics.CountStep(promptTokens);
        _scheduler.Complete(plan, _time.GetElapsedTime(now));
    }

    private void OnSampled(EngineRequest request)
    {
        var now = _time.GetTimestamp();
        Metrics.CountToken();
        if (request.LastTokenAt is { } last) Metrics.InterTokenLatency.Observe(_time.GetElapsedTime(last, now));
        else Metrics.TimeToFirstToken.Observe(_time.GetElapsedTime(request.SubmittedAt, now));
        request.FirstTokenAt ??= now;
        request.LastTokenAt = now;
    }

    private void OnEnded(EngineRequest request, EndReason reason)
    {
        Metrics.CountEnd(reason);
        lock (_gate) _present[(int)request.Priority]--;
        if (reason is not (EndReason.Stop or EndReason.Length)) return;
        Metrics.RequestLatency.Observe(_time.GetElapsedTime(request.SubmittedAt));
        if (request.StartedAt is { } started) _wait.Ended(request.Priority, _time.GetElapsedTime(started));
    }

    private void Publish()
    {
        for (var i = 0; i < EngineMetrics.Priorities.Count; i++)
        {
            var priority = EngineMetrics.Priorities[i];
            Metrics.SetRequests(priority, _scheduler.RunningCountOf(priority), _scheduler.WaitingCountOf(priority));
        }
        Metrics.CacheTokensUsed = _scheduler.Tree.UsedTokens;
        Metrics.CacheTokensPinned = _scheduler.Tree.PinnedTokens;
        Metrics.Preemptions = _scheduler.Preemptions;
        Metrics.PrefixTokensAsked = _scheduler.PrefixTokensAsked;
        Metrics.PrefixTokensFound = _scheduler.PrefixTokensFound;
        Metrics.TokensGuessed = _scheduler.TokensGuessed;
        Metrics.GuessesAccepted = _scheduler.GuessesAccepted;
        Metrics.AdaptersLoaded = _scheduler.Adapters.LoadedCount;
        Metrics.AdapterLoads = _scheduler.Adapters.Loads;
    }

    private void Close(Error error)
    {
        lock (_gate)
        {
            _stopping = true;
            while (_submitted.TryDequeue(out var request)) _scheduler.Submit(request);
        }
        while (NextPosted() is { } action) action();
        foreach (var request in _scheduler.All()) _scheduler.End(request, EndReason.Failed, error);
        _draft?.Dispose();
        _executor.Dispose();
    }
}
