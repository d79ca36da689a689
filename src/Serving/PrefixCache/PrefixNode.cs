using System.Runtime.InteropServices;

namespace TokenMill.Serving.PrefixCache;

/// <summary>A run of computed tokens. The tokens from the root down to a node are a prefix whose keys and values the runner holds.</summary>
internal sealed class PrefixNode
{
    private readonly List<int> _tokens = [];

    public PrefixNode? Parent { get; private set; }
    public List<PrefixNode> Children { get; } = [];

    /// <summary>Sequences that end exactly here.</summary>
    public List<HeldSequence> Tails { get; } = [];

    public ReadOnlySpan<int> Tokens => CollectionsMarshal.AsSpan(_tokens);
    public int Start { get; private set; }
    public int End => Start + _tokens.Count;

    /// <summary>Sequences in use that pass through or end here.</summary>
    public int Pins { get; set; }

    public long LastUsed { get; set; }
    public bool IsRoot => Parent is null;
    public bool IsLeaf => Children.Count == 0;

    public PrefixNode AddChild()
    {
        var child = new PrefixNode { Parent = this, Start = End, LastUsed = LastUsed };
        Children.Add(child);
        return child;
    }

    public void Append(ReadOnlySpan<int> tokens) => _tokens.AddRange(tokens);

    public void RemoveLast(int count) => _tokens.RemoveRange(_tokens.Count - count, count);

    /// <summary>Cuts the node after <paramref name="length"/> tokens; this one keeps the lower part, its tails and its children.</summary>
    /// <returns>The new upper part.</returns>
    public PrefixNode SplitAfter(int length)
    {
        var upper = new PrefixNode { Parent = Parent, Start = Start, Pins = Pins, LastUsed = LastUsed };
        upper.Append(Tokens[..length]);
        Parent!.Children[Parent.Children.IndexOf(this)] = upper;
        upper.Children.Add(this);
        _tokens.RemoveRange(0, length);
        (Parent, Start) = (upper, upper.End);
        return upper;
    }

    public void Remove() => Parent!.Children.Remove(this);
}
