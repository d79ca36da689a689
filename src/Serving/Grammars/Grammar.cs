namespace TokenMill.Serving.Grammars;

/// <summary>One thing to match: a byte of a set, a rule, or the end of an alternative.</summary>
internal readonly record struct GrammarElement(ByteSet Bytes, int Rule)
{
    private const int None = -1, AlternativeEnd = -2;

    public static GrammarElement End { get; } = new(default, AlternativeEnd);
    public static GrammarElement OfBytes(ByteSet bytes) => new(bytes, None);
    public static GrammarElement OfRule(int rule) => new(default, rule);

    public bool IsRule => Rule >= 0;
    public bool IsEnd => Rule == AlternativeEnd;
}

/// <summary>
/// A context-free grammar over bytes. All alternatives of all rules stand in one list of elements, each followed by
/// <see cref="GrammarElement.End"/>; a rule is a list of places where its alternatives begin. Rule 0 is the whole text.
/// No rule reaches itself without reading a byte first.
/// </summary>
internal sealed record Grammar(IReadOnlyList<GrammarElement> Elements, IReadOnlyList<int[]> Rules);
