using System.Buffers;
using System.Numerics;
using System.Runtime.InteropServices;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Finds rows whose text is almost that of an earlier one: MinHash (Broder 1997) of character 5-grams, case and runs of white space aside,
/// with 64 permutations; 8 bands of 5 find the candidates (99.6 % of pairs with a Jaccard similarity of 0.87, one in 50 of those with 0.3),
/// and the share of equal minima, within ±0.05, tells how alike they are. Looks at the first <see cref="MaxRows"/> rows, so that memory stays flat (about 12 MB).
/// </summary>
internal sealed class NearDuplicates
{
    public const int MaxRows = 65_536;
    private const int Permutations = 64, Bands = 8, RowsPerBand = 5, Gram = 5, MaxCharacters = 16_384;
    private const int MinimumEqual = 47;                    // of 64: a pair at 0.85 is missed once in 300, one at 0.5 taken once in 10,000

    private static readonly uint[] Multipliers = MakeMultipliers();

    private readonly RowIndex _bands = new();
    private readonly List<byte> _signatures = [];           // (rows, permutations): the low byte of each minimum
    private readonly List<uint> _rows = [];
    private readonly uint[] _minima = new uint[Permutations];

    /// <summary>Makes room for so many rows in all.</summary>
    public void Reserve(long rows)
    {
        var kept = (int)Math.Min(rows, MaxRows);
        _bands.Reserve((long)kept * Bands);
        _signatures.EnsureCapacity(kept * Permutations);
        _rows.EnsureCapacity(kept);
    }

    /// <summary>The earlier row that this text almost repeats, with their similarity; the text is remembered.</summary>
    public (long Row, double Similarity)? Add(ReadOnlySpan<char> text, long row)
    {
        if (_rows.Count >= MaxRows || !Minima(text)) return null;
        var self = _rows.Count;
        foreach (var minimum in _minima) _signatures.Add((byte)minimum);
        (long, double)? found = null;
        for (var band = 0; band < Bands; band++)
        {
            var key = StableHash.Of(MemoryMarshal.AsBytes(_minima.AsSpan(band * RowsPerBand, RowsPerBand)), seed: (ulong)band);
            if (_bands.TryAdd(key, self, out var candidate) || found is not null) continue;
            var equal = Equal((int)candidate, self);
            if (equal >= MinimumEqual) found = (_rows[(int)candidate], equal / (double)Permutations);
        }
        _rows.Add((uint)Math.Min(row, uint.MaxValue));
        return found;
    }

    /// <summary>For each permutation the least hash of any 5-gram; false for a text that has none.</summary>
    private bool Minima(ReadOnlySpan<char> text)
    {
        var normal = ArrayPool<char>.Shared.Rent(MaxCharacters);
        var length = Normalize(text, normal);
        Array.Fill(_minima, uint.MaxValue);
        var minima = MemoryMarshal.Cast<uint, Vector<uint>>(_minima.AsSpan());
        var multipliers = MemoryMarshal.Cast<uint, Vector<uint>>(Multipliers.AsSpan());
        for (var at = 0; at + Gram <= length; at++)
        {
            var gram = MemoryMarshal.AsBytes(normal.AsSpan(at, Gram));
            var hash = new Vector<uint>((uint)(StableHash.Of(gram) >> 32));
            for (var lane = 0; lane < minima.Length; lane++)
            {
                // Multiplication carries only upwards, so the high half is folded back before the minimum is taken.
                var product = hash * multipliers[lane];
                minima[lane] = Vector.Min(minima[lane], product ^ Vector.ShiftRightLogical(product, 15));
            }
        }
        ArrayPool<char>.Shared.Return(normal);
        return length >= Gram;
    }

    private static int Normalize(ReadOnlySpan<char> text, char[] normal)
    {
        var length = 0;
        foreach (var c in text)
        {
            if (length == MaxCharacters) break;
            if (!char.IsWhiteSpace(c)) normal[length++] = char.ToLowerInvariant(c);
            else if (length > 0 && normal[length - 1] != ' ') normal[length++] = ' ';
        }
        return length;
    }

    private int Equal(int left, int right)
    {
        var signatures = CollectionsMarshal.AsSpan(_signatures);
        var a = signatures.Slice(left * Permutations, Permutations);
        var b = signatures.Slice(right * Permutations, Permutations);
        var equal = 0;
        for (var i = 0; i < Permutations; i++) equal += a[i] == b[i] ? 1 : 0;
        return equal;
    }

    private static uint[] MakeMultipliers()
    {
        var multipliers = new uint[Permutations];
        for (var i = 0; i < Permutations; i++) multipliers[i] = (uint)StableHash.Mix((ulong)i) | 1;
        return multipliers;
    }
}
