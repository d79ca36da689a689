using System.Buffers;
using System.Numerics;
using System.Runtime.InteropServices;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Finds rows whose text is almost that of an earlier one: MinHash (Broder 1997) of character 5-grams, case and runs of white space aside,
/// with 64 permutations: 8 bands of 5 find the candidates (99.6 % of pairs with a Jaccard similarity of 0.87, one in 50 of those with 0.3).
/// While there is room their texts are kept and compared exactly; beyond it the share of equal minima, within ±0.05, tells how alike they are.
/// Looks at the first <see cref="MaxRows"/> rows, so that memory stays flat (about 16 MB).
/// </summary>
internal sealed class NearDuplicates
{
    public const int MaxRows = 65_536;
    private const int Permutations = 64, Bands = 8, RowsPerBand = 5, Gram = 5, MaxCharacters = 16_384, MaxKeptCharacters = 2 << 20;
    private const double Threshold = 0.85;
    private const int WorthComparing = 45;                  // equal minima of 64: a pair at 0.85 has fewer once in 1,000

    private static readonly uint[] Multipliers = MakeMultipliers();

    private readonly RowIndex _bands = new();
    private readonly List<byte> _signatures = [];           // (rows, permutations): the low byte of each minimum
    private readonly List<uint> _rows = [];
    private readonly List<char> _texts = [];
    private readonly List<int> _ends = [];                  // of the kept texts
    private readonly HashSet<ulong> _grams = [];
    private readonly uint[] _minima = new uint[Permutations];

    /// <summary>Makes room for so many rows in all.</summary>
    public void Reserve(long rows)
    {
        var kept = (int)Math.Min(rows, MaxRows);
        _bands.Reserve((long)kept * Bands);
        _signatures.EnsureCapacity(kept * Permutations);
        _rows.EnsureCapacity(kept);
        _texts.EnsureCapacity(MaxKeptCharacters);
    }

    /// <summary>The earlier row that this text almost repeats, with their similarity; the text is remembered.</summary>
    public (long Row, double Similarity)? Add(ReadOnlySpan<char> text, long row)
    {
        if (_rows.Count >= MaxRows) return null;
        var buffer = ArrayPool<char>.Shared.Rent(MaxCharacters);
        try
        {
            return AddNormal(buffer.AsSpan(0, Normalize(text, buffer)), row);
        }
        finally
        {
            ArrayPool<char>.Shared.Return(buffer);
        }
    }

    private (long Row, double Similarity)? AddNormal(ReadOnlySpan<char> text, long row)
    {
        if (text.Length < Gram) return null;
        FindMinima(text);
        var self = _rows.Count;
        foreach (var minimum in _minima) _signatures.Add((byte)minimum);
        (long, double)? found = null;
        for (var band = 0; band < Bands; band++)
        {
            var key = StableHash.Of(MemoryMarshal.AsBytes(_minima.AsSpan(band * RowsPerBand, RowsPerBand)), seed: (ulong)band);
            if (_bands.TryAdd(key, self, out var candidate) || found is not null) continue;
            var equal = Equal((int)candidate, self);
            if (equal < WorthComparing) continue;
            var similarity = candidate < _ends.Count ? Jaccard(Kept((int)candidate), text) : equal / (double)Permutations;
            if (similarity > Threshold) found = (_rows[(int)candidate], similarity);
        }
        _rows.Add((uint)Math.Min(row, uint.MaxValue));
        if (_ends.Count == self && _texts.Count + text.Length <= MaxKeptCharacters)
        {
            _texts.AddRange(text);
            _ends.Add(_texts.Count);
        }
        return found;
    }

    private ReadOnlySpan<char> Kept(int row)
    {
        var start = row == 0 ? 0 : _ends[row - 1];
        return CollectionsMarshal.AsSpan(_texts)[start.._ends[row]];
    }

    private double Jaccard(ReadOnlySpan<char> left, ReadOnlySpan<char> right)
    {
        _grams.Clear();
        for (var at = 0; at + Gram <= left.Length; at++) _grams.Add(Hash(left.Slice(at, Gram)));
        var (ofLeft, common) = (_grams.Count, 0);
        for (var at = 0; at + Gram <= right.Length; at++)
            if (_grams.Remove(Hash(right.Slice(at, Gram)))) common++;
        var onlyLeft = ofLeft - common;
        _grams.Clear();
        for (var at = 0; at + Gram <= right.Length; at++) _grams.Add(Hash(right.Slice(at, Gram)));
        return common / (double)(onlyLeft + _grams.Count);
    }

    private static ulong Hash(ReadOnlySpan<char> gram) => StableHash.Of(MemoryMarshal.AsBytes(gram));

    /// <summary>For each permutation the least hash of any 5-gram.</summary>
    private void FindMinima(ReadOnlySpan<char> text)
    {
        Array.Fill(_minima, uint.MaxValue);
        var minima = MemoryMarshal.Cast<uint, Vector<uint>>(_minima.AsSpan());
        var multipliers = MemoryMarshal.Cast<uint, Vector<uint>>(Multipliers.AsSpan());
        for (var at = 0; at + Gram <= text.Length; at++)
        {
            var hash = new Vector<uint>((uint)(Hash(text.Slice(at, Gram)) >> 32));
            for (var lane = 0; lane < minima.Length; lane++)
            {
                // Multiplication carries only upwards, so the high half is folded back before the minimum is taken.
                var product = hash * multipliers[lane];
                minima[lane] = Vector.Min(minima[lane], product ^ Vector.ShiftRightLogical(product, 15));
            }
        }
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
