using TokenMill.Serving.Scheduler;

namespace TokenMill.Serving.PrefixCache;

/// <summary>A sequence in the <see cref="PrefixTree"/>: in use by a request, or kept for the next one.</summary>
public sealed class HeldSequence
{
    internal HeldSequence(SequenceId id, PrefixNode tail) => (Id, Tail) = (id, tail);

    public SequenceId Id { get; }

    /// <summary>Count of tokens computed.</summary>
    public int Length => Tail.End;

    internal PrefixNode Tail { get; set; }
    internal bool InUse { get; set; } = true;
}
