namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Hash of a row → the first row that had it. Twelve bytes an entry in open addressing; 256 parts grow one by one by half,
/// so that a million rows cost some 20 MB and never a second copy of it all.
/// </summary>
internal sealed class RowIndex
{
    private readonly ulong[][] _hashes = new ulong[256][];
    private readonly uint[][] _rows = new uint[256][];
    private readonly int[] _counts = new int[256];

    /// <summary>True and kept if the hash is new; else the row that has it.</summary>
    public bool TryAdd(ulong hash, long row, out long earlier)
    {
        if (hash == 0) hash = 1;                            // zero marks a free place
        var part = (int)(hash >> 56);
        if (_hashes[part] is null || _counts[part] * 5 >= _hashes[part].Length * 4) Grow(part);
        var place = Place(_hashes[part], hash);
        if (_hashes[part][place] == hash)
        {
            earlier = _rows[part][place];
            return false;
        }
        _hashes[part][place] = hash;
        _rows[part][place] = (uint)Math.Min(row, uint.MaxValue);
        _counts[part]++;
        earlier = 0;
        return true;
    }

    public bool Contains(ulong hash, out long row)
    {
        if (hash == 0) hash = 1;
        var part = (int)(hash >> 56);
        row = 0;
        if (_hashes[part] is not { } hashes) return false;
        var place = Place(hashes, hash);
        if (hashes[place] != hash) return false;
        row = _rows[part][place];
        return true;
    }

    private static int Place(ulong[] hashes, ulong hash)
    {
        var place = (int)((hash & 0xFFFF_FFFF) * (ulong)hashes.Length >> 32);
        while (hashes[place] != 0 && hashes[place] != hash) place = place + 1 == hashes.Length ? 0 : place + 1;
        return place;
    }

    private void Grow(int part)
    {
        var (oldHashes, oldRows) = (_hashes[part] ?? [], _rows[part] ?? []);
        var size = Math.Max(16, oldHashes.Length * 3 / 2);
        (_hashes[part], _rows[part]) = (new ulong[size], new uint[size]);
        for (var i = 0; i < oldHashes.Length; i++)
        {
            if (oldHashes[i] == 0) continue;
            var place = Place(_hashes[part], oldHashes[i]);
            (_hashes[part][place], _rows[part][place]) = (oldHashes[i], oldRows[i]);
        }
    }
}
