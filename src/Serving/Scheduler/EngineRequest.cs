using TokenMill.Serving.PrefixCache;

namespace TokenMill.Serving.Scheduler;

public enum RequestState { New, Waiting, Running, Ended }

/// <summary>
/// A request as the engine sees it: tokens known so far, and how many of them are computed. There is no prompt phase and
/// no decode phase: a request is computed further whenever <see cref="ComputedTokens"/> lags behind <see cref="TotalTokens"/>.
/// State belongs to the engine's thread; times are timestamps of the engine's TimeProvider.
/// </summary>
public sealed class EngineRequest
{
    private int[] _tokens;

    /// <param name="prompt">At least one token.</param>
    /// <param name="maxNewTokens">0 where only the prompt is scored.</param>
    public EngineRequest(ReadOnlySpan<int> prompt, int maxNewTokens, CacheKey key, ILogitsConsumer consumer)
    {
        ArgumentOutOfRangeException.ThrowIfZero(prompt.Length);
        ArgumentOutOfRangeException.ThrowIfNegative(maxNewTokens);
        _tokens = prompt.ToArray();
        PromptTokens = TotalTokens = prompt.Length;
        MaxNewTokens = maxNewTokens;
        Key = key;
        Consumer = consumer;
    }

    public int PromptTokens { get; }
    public int MaxNewTokens { get; }
    public CacheKey Key { get; }
    public ILogitsConsumer Consumer { get; }
    public RequestPriority Priority { get; init; }

    public RequestState State { get; internal set; }
    public int TotalTokens { get; private set; }
    public int ComputedTokens { get; internal set; }
    public int NewTokens => TotalTokens - PromptTokens;

    /// <summary>Only the token sampled last is not computed yet.</summary>
    internal bool IsAnswering => TotalTokens - ComputedTokens == 1 && NewTokens > 0;

    /// <summary>Prompt tokens that were found computed when the request was first admitted.</summary>
    public int CachedTokens { get; internal set; }

    public long SubmittedAt { get; internal set; }
    public long? StartedAt { get; internal set; }
    public long? FirstTokenAt { get; internal set; }
    public long? LastTokenAt { get; internal set; }

    /// <summary>Order of arrival: decides who waits and who is preempted.</summary>
    internal long Ticket { get; set; }

    /// <summary>When it got further than ever before: at first when the scheduler first saw it.</summary>
    internal long ProgressedAt { get; set; }

    /// <summary>It got no further for too long, and goes before all others until it ends.</summary>
    internal bool IsOverdue { get; set; }

    /// <summary>The last round of admissions in which others were let past.</summary>
    internal long PassedOverIn { get; set; }

    /// <summary>Its tenant's, among requests of its priority.</summary>
    internal FairShare? Share { get; set; }

    /// <summary>What its tenant was charged for: prompt tokens that were not found in the cache, from its first admission on, and sampled ones.</summary>
    internal int ServedTokens { get; private set; }

    internal HeldSequence? Sequence { get; set; }

    internal PromptLookup Lookup { get; } = new();

    /// <summary>What a draft model expects next, if there is one and it was asked.</summary>
    internal DraftedTokens Draft { get; } = new();

    private bool _usesDraft;
    private int _mostComputed;

    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, TotalTokens);

    internal ReadOnlyMemory<int> KnownFrom(int start, int count) => _tokens.AsMemory(start, count);

    internal ReadOnlyMemory<int> Uncomputed(int count) => _tokens.AsMemory(ComputedTokens, count);

    /// <summary>Lays what may come next behind the known tokens, for <see cref="Uncomputed"/>; it is not known yet, and the next token overwrites it.</summary>
    /// <returns>How many: as many as pay.</returns>
    internal int Guess(int most, GuessCosts costs)
    {
        most = Math.Min(most, MaxNewTokens - NewTokens - 1);
        var guess = Lookup.Guess(Tokens, most);                // costs nothing, so it is asked first
        _usesDraft = guess.IsEmpty;
        if (_usesDraft) guess = Draft.Take(most);
        guess = guess[..GuessedLength.Paying(guess.Length, costs)];
        Grow(guess.Length);                                    // the guess stays where it was
        guess.CopyTo(_tokens.AsSpan(TotalTokens));
        return guess.Length;
    }

    internal void CountComputed(int tokens, long now)
    {
        ComputedTokens += tokens;
        if (ComputedTokens <= _mostComputed) return;           // again, after it was preempted: no progress
        (_mostComputed, ProgressedAt) = (ComputedTokens, now);
    }

    internal void CountServed(int tokens)
    {
        ServedTokens += tokens;
        Share!.ServedTokens += tokens;
    }

    /// <summary>How many of the guessed tokens were right.</summary>
    internal void ObserveGuess(int guessed, int right) => GuessedLength.Observe(guessed, right);

    private GuessLength GuessedLength => _usesDraft ? Draft.Length : Lookup.Length;

    internal void Append(int token)
    {
        Grow(1);
        _tokens[TotalTokens++] = token;
    }

    private void Grow(int count)
    {
        if (TotalTokens + count > _tokens.Length) Array.Resize(ref _tokens, Math.Max(Math.Max(64, TotalTokens + count), _tokens.Length * 2));
    }
}
