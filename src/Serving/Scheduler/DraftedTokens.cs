using System.Runtime.InteropServices;

namespace TokenMill.Serving.Scheduler;

/// <summary>What a draft model expects after a request's known tokens.</summary>
internal sealed class DraftedTokens
{
    private readonly List<int> _tokens = [];

    public GuessLength Length { get; } = new();

    public int Count => _tokens.Count;

    public int Last => _tokens[^1];

    public void Add(int token) => _tokens.Add(token);

    public void Clear() => _tokens.Clear();

    /// <summary>Once: after the next step other tokens are known.</summary>
    public ReadOnlySpan<int> Take(int most)
    {
        var taken = CollectionsMarshal.AsSpan(_tokens)[..Math.Clamp(most, 0, _tokens.Count)];
        _tokens.Clear();                                       // the span stays whole until something is added
        return taken;
    }
}
