namespace TokenMill.Training.Models;

/// <summary>Numbers that are the same on every machine and in every version of .NET: splitmix64 (Steele, Lea and Flood, 2014).</summary>
public struct SeededRandom(ulong state)
{
    private ulong _state = state;

    /// <summary>A seed for something named: FNV-1a of the name, mixed with the run's seed.</summary>
    public static ulong Mix(long seed, string name)
    {
        var hash = 14695981039346656037UL;
        foreach (var c in name) hash = (hash ^ c) * 1099511628211UL;
        return Scramble(unchecked((ulong)seed) + Scramble(hash));
    }

    public static ulong Mix(ulong seed, ulong number) => Scramble(seed + 0x9E3779B97F4A7C15UL * (number + 1));

    public ulong Next() => Scramble(_state += 0x9E3779B97F4A7C15UL);

    /// <summary>In [0, 1).</summary>
    public double Uniform() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Standard normal, by Box and Muller.</summary>
    public double Normal() => Math.Sqrt(-2 * Math.Log(1 - Uniform())) * Math.Cos(2 * Math.PI * Uniform());

    private static ulong Scramble(ulong z)
    {
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ z >> 27) * 0x94D049BB133111EBUL;
        return z ^ z >> 31;
    }
}
