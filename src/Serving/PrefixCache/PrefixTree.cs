using TokenMill.Serving.Scheduler;

namespace TokenMill.Serving.PrefixCache;

/// <summary>
/// All tokens whose keys and values the runner holds, as one radix tree per <see cref="CacheKey"/>: prefixes are found, shared,
/// reference counted and evicted here, and room is counted here. (Idea: RadixAttention, arXiv 2312.07104, section 3.)
/// <para>
/// Invariants: every leaf has a sequence that ends in it, so each node is held by the sequences below it; tokens are counted once,
/// however many sequences share them; nodes that a running sequence passes through are pinned and never evicted.
/// Two sequences that computed the same tokens side by side are two children with equal tokens: they take room twice.
/// </para>
/// Decisions go to the runner as <see cref="CacheOperation"/>s in the order in which they were taken.
/// </summary>
public sealed class PrefixTree
{
    private readonly Dictionary<CacheKey, PrefixNode> _roots = [];
    private readonly HashSet<HeldSequence> _kept = [];
    private readonly Stack<int> _freeIds;
    private readonly bool _shares;
    private long _clock;

    public PrefixTree(int capacityTokens, int maxSequences, bool sharesPrefixes)
    {
        CapacityTokens = capacityTokens;
        _shares = sharesPrefixes;
        _freeIds = new Stack<int>(Enumerable.Range(0, maxSequences).Reverse());
    }

    public int CapacityTokens { get; }

    /// <summary>Tokens held, each once.</summary>
    public int UsedTokens { get; private set; }

    /// <summary>Tokens of running sequences, each once: what eviction cannot free.</summary>
    public int PinnedTokens { get; private set; }

    public int FreeTokens => CapacityTokens - UsedTokens;
    public int KeptSequences => _kept.Count;

    /// <summary>How many of the tokens are held already, and how many of those are not pinned yet.</summary>
    public (int Length, int Unpinned) Match(CacheKey key, ReadOnlySpan<int> tokens)
    {
        if (!_shares || !_roots.TryGetValue(key, out var root)) return (0, 0);
        var (node, length) = Find(root, tokens);
        var unpinned = 0;
        for (var at = node; !at.IsRoot; at = at.Parent!)
            if (at.Pins == 0) unpinned += Math.Min(length, at.End) - at.Start;
        return (length, unpinned);
    }

    /// <summary>Starts a sequence with as much of a request's tokens as is held, at most <paramref name="mostTokens"/> of them.</summary>
    /// <returns>The sequence, or null if every id is taken by a running one.</returns>
    public HeldSequence? Begin(CacheKey key, ReadOnlySpan<int> tokens, int mostTokens, List<CacheOperation> operations)
    {
        tokens = _shares ? tokens[..Math.Min(tokens.Length, mostTokens)] : [];
        if (_roots.TryGetValue(key, out var known)) Touch(Find(known, tokens).Node);   // so that freeing an id does not cost the prefix itself
        if (TakeId(operations) is not { } id) return null;

        if (!_roots.TryGetValue(key, out var root)) _roots[key] = root = new PrefixNode();
        var (node, length) = Find(root, tokens);
        if (length < node.End) node = node.SplitAfter(length - node.Start);

        // A kept sequence that ends exactly here goes on as the new one: the usual case of a chat's next turn.
        var sequence = node.Tails.Find(t => !t.InUse);
        if (sequence is not null)
        {
            _freeIds.Push(id.Value);
            _kept.Remove(sequence);
            sequence.InUse = true;
        }
        else
        {
            sequence = new HeldSequence(id, node);
            if (!node.IsRoot) operations.Add(new CacheOperation(CacheOperationKind.Fork, id, AnyHolder(node).Id, length));
            node.Tails.Add(sequence);
        }
        Pin(node);
        return sequence;
    }

    /// <summary>Tokens were computed at the end of a sequence in use. There must be room for them (<see cref="MakeRoom"/>).</summary>
    public void Extend(HeldSequence sequence, ReadOnlySpan<int> tokens)
    {
        var node = sequence.Tail;
        if (node.IsRoot || !node.IsLeaf || node.Tails.Count > 1)
        {
            node.Tails.Remove(sequence);
            node = node.AddChild();
            node.Pins = 1;
            node.Tails.Add(sequence);
            sequence.Tail = node;
        }
        node.Append(tokens);
        node.LastUsed = ++_clock;
        UsedTokens += tokens.Length;
        PinnedTokens += tokens.Length;
    }

    /// <summary>The last tokens of a sequence in use, fewer than were computed last and known to nobody else, turned out to be wrong.</summary>
    public void TakeBack(HeldSequence sequence, int tokens, List<CacheOperation> operations)
    {
        if (tokens == 0) return;
        sequence.Tail.RemoveLast(tokens);
        UsedTokens -= tokens;
        PinnedTokens -= tokens;
        operations.Add(new CacheOperation(CacheOperationKind.Truncate, sequence.Id, default, sequence.Length));
    }

    /// <summary>The request is over or preempted: what it computed stays as long as there is room for it.</summary>
    public void Keep(HeldSequence sequence, List<CacheOperation> operations)
    {
        var node = sequence.Tail;
        Unpin(node);
        sequence.InUse = false;
        if (!_shares || node.IsRoot || !node.IsLeaf || node.Tails.Count > 1)
        {
            Discard(sequence, operations);                     // others hold the same tokens
            return;
        }
        _kept.Add(sequence);
        // Sequences kept at a shorter prefix of this one hold nothing that this one does not.
        for (var above = node.Parent!; !above.IsRoot; above = above.Parent!)
            foreach (var shorter in above.Tails.FindAll(t => !t.InUse))
                Discard(shorter, operations);
    }

    /// <summary>The request is over and what it computed is of no further use.</summary>
    public void Drop(HeldSequence sequence, List<CacheOperation> operations)
    {
        Unpin(sequence.Tail);
        Discard(sequence, operations);
    }

    /// <summary>Nothing under this adapter is of further use, but what running requests hold.</summary>
    public void DropKept(string adapter, List<CacheOperation> operations)
    {
        foreach (var root in _roots.Where(r => r.Key.Adapter == adapter).Select(r => r.Value).ToList())
            foreach (var sequence in _kept.Where(s => RootOf(s.Tail) == root).ToList())
                Discard(sequence, operations);
    }

    /// <summary>Evicts kept tokens, least recently used first, until that many more fit.</summary>
    /// <returns>False if running sequences leave too little room (what could be evicted is).</returns>
    public bool MakeRoom(int tokens, List<CacheOperation> operations)
    {
        while (FreeTokens < tokens)
            if (!EvictOne(operations)) return false;
        return true;
    }

    private SequenceId? TakeId(List<CacheOperation> operations)
    {
        while (_freeIds.Count == 0)
            if (!EvictOne(operations)) return null;
        return new SequenceId(_freeIds.Pop());
    }

    /// <summary>Frees the tokens of one leaf. Its sequence then holds the parent, if nobody else does, else it goes.</summary>
    private bool EvictOne(List<CacheOperation> operations)
    {
        HeldSequence? oldest = null;
        foreach (var sequence in _kept)
            if (oldest is null || sequence.Tail.LastUsed < oldest.Tail.LastUsed) oldest = sequence;
        if (oldest is null) return false;

        var node = oldest.Tail;
        var parent = node.Parent!;
        if (node.Tails.Count > 1 || !node.IsLeaf || parent.IsRoot || parent.Children.Count > 1 || parent.Tails.Count > 0)
        {
            Discard(oldest, operations);
            return true;
        }
        UsedTokens -= node.Tokens.Length;
        node.Remove();
        parent.Tails.Add(oldest);
        oldest.Tail = parent;
        operations.Add(new CacheOperation(CacheOperationKind.Truncate, oldest.Id, default, parent.End));
        return true;
    }

    /// <summary>Takes a sequence out, with every token that only it held.</summary>
    private void Discard(HeldSequence sequence, List<CacheOperation> operations)
    {
        _kept.Remove(sequence);
        _freeIds.Push(sequence.Id.Value);
        operations.Add(new CacheOperation(CacheOperationKind.Drop, sequence.Id, default, 0));
        sequence.Tail.Tails.Remove(sequence);
        RemoveUnheld(sequence.Tail);
    }

    private void RemoveUnheld(PrefixNode node)
    {
        while (!node.IsRoot && node.IsLeaf && node.Tails.Count == 0)
        {
            UsedTokens -= node.Tokens.Length;
            node.Remove();
            node = node.Parent!;
        }
        if (node.IsRoot && node.IsLeaf && node.Tails.Count == 0) _roots.Remove(_roots.First(r => r.Value == node).Key);
    }

    private void Pin(PrefixNode node)
    {
        Touch(node);
        for (; !node.IsRoot; node = node.Parent!)
            if (node.Pins++ == 0) PinnedTokens += node.Tokens.Length;
    }

    private void Touch(PrefixNode node)
    {
        _clock++;
        for (; !node.IsRoot; node = node.Parent!) node.LastUsed = _clock;
    }

    private void Unpin(PrefixNode node)
    {
        for (; !node.IsRoot; node = node.Parent!)
            if (--node.Pins == 0) PinnedTokens -= node.Tokens.Length;
    }

    private static PrefixNode RootOf(PrefixNode node)
    {
        while (!node.IsRoot) node = node.Parent!;
        return node;
    }

    private static HeldSequence AnyHolder(PrefixNode node)
    {
        while (node.Tails.Count == 0) node = node.Children[0];
        return node.Tails[0];
    }

    /// <summary>The longest prefix of the tokens that the tree has: the node in which it ends, and its length.</summary>
    private static (PrefixNode Node, int Length) Find(PrefixNode node, ReadOnlySpan<int> tokens)
    {
        var best = (node, node.End);
        if (tokens.Length == node.End) return best;
        foreach (var child in node.Children)
        {
            var common = child.Tokens.CommonPrefixLength(tokens[child.Start..]);
            if (common == 0) continue;
            var found = common == child.Tokens.Length ? Find(child, tokens) : (child, child.Start + common);
            if (found.Item2 > best.Item2) best = found;
        }
        return best;
    }
}
