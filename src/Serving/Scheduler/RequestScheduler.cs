using TokenMill.Serving.PrefixCache;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Scheduler;

/// <summary>
/// Decides what each step computes. No phases: every running request has computed and known tokens, and a step brings them
/// closer under one budget of tokens; answers first (one token each, and guesses of the next ones where few answers go on), then
/// prompts in the order of <see cref="RunningSet"/>. (Idea: vLLM V1.)
/// <para>
/// Invariants: a running request is preempted only for one before it in that order, the first fits alone, and of those that get no further
/// one after another becomes overdue, which is the first, so every request ends (<see cref="StarvationGuard"/>);
/// a batch request is in no step while an interactive one runs, unless it is overdue;
/// a preempted request keeps its tokens and is computed again later, so no token is lost or sampled twice;
/// all parts of a step have the same adapter, and adapters with work take turns.
/// </para>
/// <para>
/// Fairness: as long as two tenants have requests of one priority waiting, the tokens counted for them (<see cref="FairShares"/>) differ by at
/// most a longest prompt and the longest answers of <see cref="SchedulerOptions.MaxRunning"/> requests: the one ahead is given nothing new
/// until the other has caught up. Overdue requests, and those that wait for a prefix of theirs to be computed, are exceptions.
/// </para>
/// Not thread-safe: the engine's thread owns it.
/// </summary>
public sealed class RequestScheduler
{
    private readonly SchedulerOptions _options;
    private readonly IModelExecutor _executor;
    private readonly DraftModel? _draft;
    private readonly int _stepTokens;
    private readonly PromptChunk _chunk;
    private readonly GuessCosts _guessCosts;
    private readonly TimeProvider _time;
    private readonly WaitingQueue _waiting = new();
    private readonly RunningSet _running = new();
    private readonly FairShares[] _shares = [new(), new()];   // by priority
    private readonly AdapterTurns _turns = new();
    private readonly StarvationGuard _guard;
    private readonly Dictionary<string, Action> _retired = [];
    private StepPlan _plan = new(), _otherPlan = new();       // the one being made, and the one handed out last
    private long _tickets, _rounds;

    public RequestScheduler(IModelExecutor executor, SchedulerOptions options, TimeProvider? time = null) : this(executor, options, time, null)
    {
    }

    /// <param name="draft">Guesses where the text itself says nothing; the caller's to dispose.</param>
    internal RequestScheduler(IModelExecutor executor, SchedulerOptions options, TimeProvider? time, DraftModel? draft)
    {
        if (executor.MaxStepRows <= options.MaxRunning) throw new ArgumentException("a step needs a row of logits for each running request, and one more to score prompts");
        _executor = executor;
        _options = options;
        _time = time ?? TimeProvider.System;
        _draft = draft;
        _stepTokens = Math.Min(options.StepTokens, executor.MaxStepTokens);
        _chunk = new PromptChunk(options, _stepTokens);
        _guessCosts = new GuessCosts(options.GuessedStepTokens);
        _guard = new StarvationGuard(options, _time);
        Tree = new PrefixTree(executor.CapacityTokens, executor.MaxSequences, executor.SharesPrefixes);
        Adapters = new AdapterPlaces(executor);
    }

    /// <summary>A request has one more token.</summary>
    public event Action<EngineRequest>? Sampled;

    /// <summary>Raised before the request's consumer is told.</summary>
    public event Action<EngineRequest, EndReason>? Ended;

    public PrefixTree Tree { get; }
    internal AdapterPlaces Adapters { get; }
    public int WaitingCount => _waiting.Count;
    public int RunningCount => _running.Count;
    public int WaitingCountOf(RequestPriority priority) => _waiting.CountOf(priority);
    public int RunningCountOf(RequestPriority priority) => _running.CountOf(priority);
    public long Preemptions { get; private set; }
    public long PrefixTokensAsked { get; private set; }
    public long PrefixTokensFound { get; private set; }
    public long TokensGuessed { get; private set; }
    public long GuessesAccepted { get; private set; }

    /// <summary>Why a request can never be computed here, or null.</summary>
    public static Error? Unservable(EngineRequest request, IModelExecutor executor)
    {
        var limit = Math.Min(executor.MaxSequenceTokens, executor.CapacityTokens);
        if (request.PromptTokens + Math.Min(1, request.MaxNewTokens) > limit)
            return new Error("context-length-exceeded", $"the prompt has {request.PromptTokens} tokens, the context has room for {limit}", "shorten the prompt, or start the server with a larger --context");
        if (request.PromptTokens + (long)request.MaxNewTokens > limit)
            return new Error("context-length-exceeded", $"{request.PromptTokens} prompt tokens and {request.MaxNewTokens} new ones are more than the context of {limit}", $"ask for at most {limit - request.PromptTokens} tokens, or shorten the prompt");
        foreach (var token in request.Tokens)
            if ((uint)token >= (uint)executor.VocabularySize)
                return new Error("unknown-token", $"there is no token {token}, the vocabulary has {executor.VocabularySize}", "tokenize with this model's vocabulary");
        return null;
    }

    public void Submit(EngineRequest request)
    {
        request.Ticket = ++_tickets;
        request.ProgressedAt = _time.GetTimestamp();
        request.Share = _shares[(int)request.Priority].Join(request.Key.Tenant);
        request.State = RequestState.Waiting;
        _waiting.Add(request);
    }

    /// <summary>Ends a request at once; its sequence is free before the next step.</summary>
    public void End(EngineRequest request, EndReason reason, Error? error = null)
    {
        if (request.State is RequestState.Ended or RequestState.New) return;
        _waiting.Remove(request);
        _running.Remove(request);
        _guard.Ended(request);
        _shares[(int)request.Priority].Leave(request.Share!);
        request.State = RequestState.Ended;
        Release(request);
        Ended?.Invoke(request, reason);
        request.Consumer.OnEnded(reason, error);
        if (request.Key.Adapter is { } adapter) ForgetIfUnused(adapter);
    }

    /// <summary>No more requests come under this adapter: what is kept of it goes now, the adapter itself with its last request; then <paramref name="done"/> is called.</summary>
    public void Retire(string adapter, Action done)
    {
        _retired[adapter] = done;
        Tree.DropKept(adapter, _plan.OperationList);
        ForgetIfUnused(adapter);
    }

    public IReadOnlyList<EngineRequest> All() => [.. _running.Requests, .. _waiting.Requests];

    /// <summary>The next step, or null if there is nothing to do. Valid until the next call.</summary>
    public StepPlan? Plan()
    {
        do
        {
            Admit();
            if (_running.Count == 0) break;
            PlaceRunning();
        }
        while (_plan.Parts.Count == 0);                        // a request has only made way: the others go on
        if (_plan.Operations.Count + _plan.Parts.Count == 0) return null;
        (_plan, _otherPlan) = (_otherPlan, _plan);
        _plan.Clear();
        return _otherPlan;
    }

    /// <summary>Decisions about the cache that wait for the next step.</summary>
    internal List<CacheOperation> Pending => _plan.OperationList;

    /// <summary>Makes them now, without a step.</summary>
    internal void ApplyPending()
    {
        _executor.Execute(_plan);
        _plan.Clear();
    }

    /// <summary>The step was computed: the requests' consumers get their logits, and decide.</summary>
    /// <param name="taken">How long it took, where that is known: the next ones get as many prompt tokens as the answers can bear, and as many guesses as pay.</param>
    public void Complete(StepPlan plan, TimeSpan? taken = null)
    {
        if (taken is { } time && plan.BoundedPromptTokens > 0) _chunk.Observe(plan.BoundedPromptTokens, time);
        var accepted = GuessesAccepted;
        var now = _time.GetTimestamp();
        for (var i = 0; i < plan.Parts.Count; i++)
        {
            var request = plan.Requests[i];
            Tree.Extend(request.Sequence!, plan.Parts[i].Tokens.Span);
            request.CountComputed(plan.Parts[i].Tokens.Length, now);
        }
        for (var i = 0; i < plan.Parts.Count; i++)
        {
            var (request, part) = (plan.Requests[i], plan.Parts[i]);
            if (request.ComputedTokens > request.TotalTokens)
            {
                DecideGuessed(request, part);
                continue;
            }
            var first = part.Position + part.Tokens.Length - part.RowCount;
            for (var row = 0; row < part.RowCount && request.State == RequestState.Running; row++)
                Decide(request, first + row, _executor.Logits(part.FirstRow + row));
        }
        if (taken is { } spent && plan.AnswerTokens == plan.TokenCount) _guessCosts.Observe(plan.Parts.Count, plan.TokenCount, (int)(GuessesAccepted - accepted), spent);
    }

    /// <summary>The runner had less room than was counted: nothing was computed. What is kept goes, else the last request makes way.</summary>
    public void Retry()
    {
        if (Tree.KeptSequences > 0) Tree.MakeRoom(Tree.FreeTokens + _stepTokens, _plan.OperationList);
        else if (_running.Count > 1) Preempt(_running.Last);
        else if (_running.Count == 1) End(_running[0], EndReason.Failed, new Error("cache-exhausted", "the runner has no room for one request", "start the server with a larger --context"));
    }

    /// <summary>
    /// Answers of one adapter, one token each; then its prompts within what is left of the budget. Steps of batch requests are as short as if there
    /// were answers to hold up, since an interactive request may come meanwhile. Who is preempted on the way is last, so the loops miss nobody.
    /// </summary>
    private void PlaceRunning()
    {
        var adapter = _turns.Next(_running);
        _plan.UseAdapter(adapter);
        var guesses = MostGuesses(adapter);
        if (guesses > 0) _draft?.Guess(_running, adapter, guesses);
        for (var i = 0; i < _running.Count; i++)
        {
            var request = _running[i];
            if (!request.IsAnswering || !IsOfStep(request, adapter)) continue;
            var guessed = guesses > 0 ? request.Guess(guesses, _guessCosts) : 0;
            Place(request, 1, guessed);
            guesses -= guessed;
        }
        var answers = _plan.AnswerTokens = _plan.TokenCount;
        var bounded = answers > 0 || _running.CountOf(RequestPriority.Interactive) == 0;
        var budget = bounded ? Math.Min(_stepTokens, answers + _chunk.Tokens) : _stepTokens;
        for (var i = 0; i < _running.Count && _plan.TokenCount < budget; i++)
            if (!_running[i].IsAnswering && IsOfStep(_running[i], adapter)) Place(_running[i], budget - _plan.TokenCount);
        if (bounded) _plan.BoundedPromptTokens = _plan.TokenCount - answers;
    }

    private bool IsOfStep(EngineRequest request, string? adapter) => request.Key.Adapter == adapter && !_running.IsPaused(request);

    /// <summary>How many guessed tokens a step may have beside the answers, so that it stays cheap and everybody finds a row of logits.</summary>
    private int MostGuesses(string? adapter)
    {
        if (!_executor.SharesPrefixes) return 0;               // wrong guesses could not be taken back
        var answers = 0;
        foreach (var request in _running.Requests)
            if (request.IsAnswering && IsOfStep(request, adapter)) answers++;
        if (!_guessCosts.Begin(answers)) return 0;
        return Math.Min(Math.Min(_options.GuessedStepTokens, _stepTokens) - answers, _executor.MaxStepRows - _options.MaxRunning - 1);
    }

    private void Decide(EngineRequest request, int position, ReadOnlySpan<float> logits)
    {
        var decision = request.Consumer.OnLogits(position, logits);
        if (position < request.TotalTokens - 1) return;        // inside the prompt
        Append(request, decision);
        EndIfDone(request, decision);
    }

    /// <summary>
    /// The consumer chooses token by token, as ever; as long as it chooses what was guessed, the logits of the next one are there already.
    /// So the answers are distributed as without guesses.
    /// </summary>
    private void DecideGuessed(EngineRequest request, StepPart part)
    {
        var (guessed, right) = (part.Tokens.Length - 1, 0);
        Decision decision;
        while (true)
        {
            decision = request.Consumer.OnLogits(part.Position + right, _executor.Logits(part.FirstRow + right));
            var isRight = right < guessed && decision.Token == part.Tokens.Span[right + 1];   // asked first: what is appended overwrites the guess
            Append(request, decision);
            if (!isRight || decision.Ends) break;
            right++;
        }
        request.ObserveGuess(guessed, right);
        (TokensGuessed, GuessesAccepted) = (TokensGuessed + guessed, GuessesAccepted + right);
        Tree.TakeBack(request.Sequence!, guessed - right, _plan.OperationList);
        request.ComputedTokens -= guessed - right;
        EndIfDone(request, decision);
    }

    private void Append(EngineRequest request, Decision decision)
    {
        if (decision.Token is not { } token) return;
        request.Append(token);
        request.CountServed(1);
        Sampled?.Invoke(request);
    }

    private void EndIfDone(EngineRequest request, Decision decision)
    {
        if (decision.Ends) End(request, EndReason.Stop);
        else if (request.NewTokens >= request.MaxNewTokens) End(request, EndReason.Length);
    }

    private void ForgetIfUnused(string adapter)
    {
        if (!_retired.TryGetValue(adapter, out var done) || All().Any(r => r.Key.Adapter == adapter)) return;
        _retired.Remove(adapter);
        _turns.Forget(adapter);
        Adapters.Unload(adapter);
        done();
    }

    /// <summary>
    /// Moves requests from the queue into the running set, as far as there is room; batch requests make room for interactive ones. One whose
    /// adapter has no place is overtaken by others that have, but not by those that came much later: so it gets its place.
    /// </summary>
    private void Admit()
    {
        if (_guard.Find(_waiting, _running) is { State: RequestState.Running } paused)
        {
            _running.Remove(paused);                           // and back at its new place
            _running.Add(paused);
        }
        _rounds++;
        var lastToOvertake = long.MaxValue;
        while (_waiting.Next(_rounds) is { } request && !_running.IsPaused(request) && request.Ticket <= lastToOvertake)
        {
            var makesWay = _running.Count > 0 && _running.Last.Priority > request.Priority && !_running.Last.IsOverdue;
            if (_running.Count == _options.MaxRunning && !makesWay) break;
            if (!Adapters.HasPlaceFor(request.Key.Adapter, _running.Requests))
            {
                if (makesWay)
                {
                    Preempt(_running.Last);
                    continue;
                }
                lastToOvertake = Math.Min(lastToOvertake, request.Ticket + 2 * _options.MaxRunning);
                request.PassedOverIn = _rounds;
                continue;
            }
            var (held, unpinned) = request.Consumer.WantsEveryPosition ? (0, 0) : Tree.Match(request.Key, request.Tokens);
            if (_executor.SharesPrefixes && _running.ComputesPrefixOf(request, held + _options.SharedPrefixWorthWaiting))
            {
                request.PassedOverIn = _rounds;                // it would compute what is being computed: next step, maybe
                continue;
            }
            var needed = request.TotalTokens - held + unpinned + _options.ReservedTokensPerRequest * _running.Count;
            if (_running.Count == _options.MaxRunning || _running.Count > 0 && Tree.PinnedTokens + needed > Tree.CapacityTokens)
            {
                if (!makesWay) break;
                Preempt(_running.Last);
                continue;
            }
            if (Adapters.Load(request.Key.Adapter, _running.Requests) is { } error)
            {
                End(request, EndReason.Failed, error);
                continue;
            }
            if (!Start(request)) break;
            _waiting.Remove(request);
        }
    }

    private bool Start(EngineRequest request)
    {
        // At least the last token is computed, since its logits are needed.
        var reusable = request.Consumer.WantsEveryPosition ? 0 : request.TotalTokens - 1;
        if (Tree.Begin(request.Key, request.Tokens, reusable, _plan.OperationList) is not { } sequence) return false;
        request.Sequence = sequence;
        request.ComputedTokens = sequence.Length;
        if (request.NewTokens == 0) request.CachedTokens = sequence.Length;
        PrefixTokensAsked += request.TotalTokens;
        PrefixTokensFound += sequence.Length;
        if (request.ServedTokens == 0) request.CountServed(request.TotalTokens - sequence.Length);
        request.State = RequestState.Running;
        _running.Add(request);
        return true;
    }

    /// <summary>
    /// Adds up to that many tokens of a request to the step, and the guessed ones behind them if there is room.
    /// Room comes from eviction, then from preempting those behind it.
    /// </summary>
    private void Place(EngineRequest request, int mostTokens, int guessed = 0)
    {
        var all = request.Consumer.WantsEveryPosition;
        if (all) mostTokens = Math.Min(mostTokens, _executor.MaxStepRows - _plan.RowCount - (_options.MaxRunning - _plan.Parts.Count));   // the others want at most one row each
        var count = Math.Min(mostTokens, Math.Min(request.TotalTokens - request.ComputedTokens, _stepTokens - _plan.TokenCount)) + guessed;
        if (count <= 0) return;
        while (Tree.CapacityTokens - Tree.PinnedTokens - _plan.TokenCount <= 0)
        {
            var last = _running.Last;
            if (_plan.Requests.Contains(last)) return;         // its token comes first; it will end, or make way in a later step
            Preempt(last);
            if (last == request) return;
        }
        count = Math.Min(count, Tree.CapacityTokens - Tree.PinnedTokens - _plan.TokenCount);
        Tree.MakeRoom(_plan.TokenCount + count, _plan.OperationList);

        var reachesEnd = request.ComputedTokens + count == request.TotalTokens;
        all |= request.ComputedTokens + count > request.TotalTokens;
        _plan.Add(request, request.Sequence!.Id, request.Uncomputed(count), all ? LogitsWanted.All : reachesEnd ? LogitsWanted.Last : LogitsWanted.None);
    }

    /// <summary>Back into the queue, at its place by age. What it computed stays findable until the room is needed.</summary>
    private void Preempt(EngineRequest request)
    {
        Preemptions++;
        _running.Remove(request);
        Release(request);
        request.ComputedTokens = 0;
        request.State = RequestState.Waiting;
        _waiting.Add(request);
    }

    private void Release(EngineRequest request)
    {
        if (request.Sequence is not { } sequence) return;
        request.Sequence = null;
        if (request.Consumer.WantsEveryPosition || request.Key.Adapter is { } adapter && _retired.ContainsKey(adapter)) Tree.Drop(sequence, _plan.OperationList);
        else Tree.Keep(sequence, _plan.OperationList);
    }
}
