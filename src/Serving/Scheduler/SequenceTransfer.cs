using TokenMill.Serving.PrefixCache;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Scheduler;

/// <summary>Takes computed prefixes out of the cache, to be put into another process's. On the engine's thread, between two steps.</summary>
internal sealed class SequenceTransfer(RequestScheduler scheduler, IModelExecutor executor)
{
    /// <summary>The longest held prefix of the tokens.</summary>
    /// <exception cref="RefusedException">state-not-movable, state-not-held, state-too-large, state-not-saved, engine-busy.</exception>
    public (int Tokens, byte[] State) Save(CacheKey key, ReadOnlySpan<int> tokens, int mostBytes)
    {
        RequireMovable();
        if (scheduler.Tree.Match(key, tokens).Length == 0) throw new RefusedException("state-not-held", "nothing of this conversation is in the cache", "ask for it while it is warm, or let the other process compute it");
        var sequence = Begin(key, tokens, tokens.Length);
        try
        {
            scheduler.ApplyPending();
            return (sequence.Length, executor.Save(sequence.Id, mostBytes));
        }
        finally
        {
            scheduler.Tree.Keep(sequence, scheduler.Pending);
        }
    }

    /// <summary>Afterwards the tokens are found like any that were computed here.</summary>
    /// <exception cref="RefusedException">state-not-movable, state-refused, engine-busy.</exception>
    public void Restore(CacheKey key, ReadOnlySpan<int> tokens, ReadOnlySpan<byte> state)
    {
        RequireMovable();
        var tree = scheduler.Tree;
        if (tokens.Length > tree.CapacityTokens) throw new RefusedException("context-length-exceeded", $"the conversation has {tokens.Length} tokens, the context has room for {tree.CapacityTokens}", "start the server with a larger --context");
        if (tree.Match(key, tokens).Length == tokens.Length) return;
        if (tree.PinnedTokens + tokens.Length > tree.CapacityTokens) throw Busy();
        var sequence = Begin(key, tokens, mostTokens: 0);
        tree.MakeRoom(tokens.Length, scheduler.Pending);
        scheduler.ApplyPending();
        if (executor.Restore(sequence.Id, tokens.Length, state))
        {
            tree.Extend(sequence, tokens);
            tree.Keep(sequence, scheduler.Pending);
            return;
        }
        tree.Drop(sequence, scheduler.Pending);
        throw new RefusedException("state-refused", "the runner does not take this state", "let this process compute the conversation");
    }

    private HeldSequence Begin(CacheKey key, ReadOnlySpan<int> tokens, int mostTokens) =>
        scheduler.Tree.Begin(key, tokens, mostTokens, scheduler.Pending) ?? throw Busy();

    private void RequireMovable()
    {
        if (executor.StateFormat is null) throw new RefusedException("state-not-movable", "conversations of a recurrent model, or of one with a sliding window, cannot be moved", "let the other process compute the conversation");
    }

    private static RefusedException Busy() => new(new Error("engine-busy", "running requests need the whole cache", "try again in a moment") { RetryAfter = TimeSpan.FromSeconds(1) });
}
