namespace TokenMill.Serving.Grammars;

/// <summary>A set of bytes.</summary>
internal readonly record struct ByteSet(UInt128 Low, UInt128 High)
{
    public static ByteSet Range(int first, int last)
    {
        var set = default(ByteSet);
        for (var b = first; b <= last; b++) set = set.With(b);
        return set;
    }

    public bool Contains(int b) => ((b < 128 ? Low >> b : High >> (b - 128)) & 1) != 0;

    public ByteSet With(int b) => b < 128 ? this with { Low = Low | UInt128.One << b } : this with { High = High | UInt128.One << (b - 128) };
}
