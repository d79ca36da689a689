namespace TokenMill.Recipe;

/// <summary>SplitMix64 (Steele et al. 2014): the same seed gives the same corpus on every machine and runtime.</summary>
public sealed class Dice(ulong seed)
{
    private ulong _state = seed;

    public int Roll(int sides) => (int)(Next() % (ulong)sides);

    /// <summary>A whole number from <paramref name="low"/> to <paramref name="high"/>, both included.</summary>
    public int Between(int low, int high) => low + Roll(high - low + 1);

    public bool OneIn(int chances) => Roll(chances) == 0;

    public T Pick<T>(IReadOnlyList<T> items) => items[Roll(items.Count)];

    public List<T> Draw<T>(IReadOnlyList<T> items, int count) => [.. Shuffle(items).Take(count)];

    public List<T> Shuffle<T>(IEnumerable<T> items)
    {
        var list = items.ToList();
        for (var i = list.Count - 1; i > 0; i--)
        {
            var j = Roll(i + 1);
            (list[i], list[j]) = (list[j], list[i]);
        }
        return list;
    }

    private ulong Next()
    {
        var z = _state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
