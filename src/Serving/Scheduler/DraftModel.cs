using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace TokenMill.Serving.Scheduler;

/// <summary>
/// Guesses how answers go on by asking a smaller model of the same vocabulary, for all of them at once: its likeliest tokens, one after the other.
/// Asked only where the text itself says nothing (<see cref="PromptLookup"/>), and only while it pays (<see cref="DraftTrial"/>).
/// A guess saves a step or costs time, never changes an answer. (Idea: speculative decoding, arXiv 2211.17192; here the
/// model's own sampler decides, so that nothing is rejected that it would have drawn.)
/// <para>It keeps a sequence for each running request, and brings it up to date when it is asked: what was guessed wrong is cut off first.</para>
/// </summary>
internal sealed class DraftModel(IModelExecutor executor, int vocabularySize, TimeProvider time) : IDisposable
{
    private const int Longest = 8;

    /// <summary>Known tokens read in one go: more would hold up the answers.</summary>
    private const int MostBehind = 256;

    private readonly Dictionary<EngineRequest, Held> _held = [];
    private readonly List<EngineRequest> _asked = [], _ended = [];
    private readonly Stack<int> _freeIds = new(Enumerable.Range(0, executor.MaxSequences).Reverse());
    private readonly DraftTrial _trial = new(time);
    private readonly StepPlan _plan = new();

    /// <summary>The tokens that the runner holds of a request, some of them maybe guessed wrong.</summary>
    private sealed record Held(SequenceId Id)
    {
        public List<int> Tokens { get; } = [];
    }

    /// <summary>Guesses for the answers among the running requests under one adapter, so many tokens in all; none when it does not pay.</summary>
    public void Guess(RunningSet running, string? adapter, int most)
    {
        Choose(running, adapter, Math.Min(most, executor.MaxStepRows));
        if (_asked.Count == 0 || !ReadKnown()) return;
        for (var length = 1; length < Longest && Extend(length, most); length++)
        {
        }
    }

    public void Dispose() => executor.Dispose();

    private void Choose(RunningSet running, string? adapter, int most)
    {
        _asked.Clear();
        var (answers, reads) = (0L, false);
        foreach (var request in running.Requests)
        {
            request.Draft.Clear();
            if (request.IsAnswering) answers += request.NewTokens;
            else reads = true;
        }
        if (!_trial.Step(answers, running.Count, reads)) return;
        foreach (var request in running.Requests)
            if (_asked.Count < most && request.Key.Adapter == adapter && request.IsAnswering && !running.IsPaused(request) && !request.Lookup.Knows(request.Tokens) && !request.Draft.Length.Pauses()) _asked.Add(request);
    }

    /// <summary>Reads what is known of each by now; those that are far behind are read in parts, and not guessed for yet.</summary>
    /// <returns>False if none is guessed for.</returns>
    private bool ReadKnown()
    {
        _plan.Clear();
        ForgetEnded();
        var budget = Math.Min(MostBehind, executor.MaxStepTokens);
        var room = executor.CapacityTokens;
        foreach (var held in _held.Values) room -= held.Tokens.Count + Longest;
        for (var i = 0; i < _asked.Count; i++)
        {
            var request = _asked[i];
            if (Synchronise(request) is not { } held) continue;
            var count = Math.Min(request.TotalTokens - held.Tokens.Count, budget - _plan.TokenCount);
            if (count <= 0 || _plan.TokenCount + count + Longest > room || held.Tokens.Count + count + Longest > executor.MaxSequenceTokens) continue;
            var tokens = request.KnownFrom(held.Tokens.Count, count);
            if (tokens.Span.ContainsAnyExceptInRange(0, executor.VocabularySize - 1)) continue;      // a token that only the other model knows
            _plan.Add(request, held.Id, held.Tokens.Count, tokens, held.Tokens.Count + count == request.TotalTokens ? LogitsWanted.Last : LogitsWanted.None);
        }
        return Execute();
    }

    /// <summary>One more token for each that has as many as the others and may have more.</summary>
    private bool Extend(int length, int most)
    {
        var guessed = 0;
        foreach (var request in _asked) guessed += request.Draft.Count;
        _plan.Clear();
        foreach (var request in _asked)
        {
            if (request.Draft.Count != length || request.Draft.Length.Tokens <= length || guessed + _plan.Parts.Count >= most) continue;
            var held = _held[request];
            if (held.Tokens.Count + 1 >= executor.MaxSequenceTokens) continue;
            _plan.Add(request, held.Id, held.Tokens.Count, new[] { request.Draft.Last }, LogitsWanted.Last);
        }
        return Execute();
    }

    /// <returns>False if nothing was guessed.</returns>
    private bool Execute()
    {
        if (_plan.Parts.Count == 0 && _plan.Operations.Count == 0) return false;
        if (executor.Execute(_plan) == StepOutcome.CacheFull)
        {
            Reset();
            return false;
        }
        var guessed = false;
        for (var i = 0; i < _plan.Parts.Count; i++)
        {
            var (request, part) = (_plan.Requests[i], _plan.Parts[i]);
            _held[request].Tokens.AddRange(part.Tokens.Span);
            if (part.RowCount == 0) continue;
            request.Draft.Add(TensorPrimitives.IndexOfMax(executor.Logits(part.FirstRow)[..vocabularySize]));
            guessed = true;
        }
        return guessed;
    }

    /// <summary>Cuts what was guessed wrong. The last known token is always read again, since its logits are needed.</summary>
    private Held? Synchronise(EngineRequest request)
    {
        if (!_held.TryGetValue(request, out var held))
        {
            if (_freeIds.Count == 0) return null;
            _held.Add(request, held = new Held(new SequenceId(_freeIds.Pop())));
        }
        var known = request.Tokens[..^1];
        var common = known.CommonPrefixLength(CollectionsMarshal.AsSpan(held.Tokens));
        if (common == held.Tokens.Count) return held;
        _plan.OperationList.Add(new CacheOperation(common == 0 ? CacheOperationKind.Drop : CacheOperationKind.Truncate, held.Id, default, common));
        held.Tokens.RemoveRange(common, held.Tokens.Count - common);
        return held;
    }

    private void ForgetEnded()
    {
        _ended.Clear();
        foreach (var request in _held.Keys)
            if (request.State != RequestState.Running) _ended.Add(request);
        foreach (var request in _ended) Forget(request);
    }

    private void Forget(EngineRequest request)
    {
        _held.Remove(request, out var held);
        _freeIds.Push(held!.Id.Value);
        if (held.Tokens.Count > 0) _plan.OperationList.Add(new CacheOperation(CacheOperationKind.Drop, held.Id, default, 0));
    }

    /// <summary>There was less room than thought: everything is forgotten, and read again as it is needed.</summary>
    private void Reset()
    {
        _plan.Clear();
        foreach (var request in _held.Keys.ToList()) Forget(request);
        executor.Execute(_plan);
    }
}
