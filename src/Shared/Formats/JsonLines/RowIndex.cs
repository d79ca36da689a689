namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Hash of a row → the first row that had it: open addressing, twelve bytes a place. Whoever knows how many rows to expect says so,
/// since growing needs the old table beside the new one.
/// </summary>
internal sealed class RowIndex
{
    private const double FullAt = 0.85;

    private ulong[] _hashes = new ulong[64];
    private uint[] _rows = new uint[64];
    private int _count;

    /// <summary>Makes room for so many rows in all.</summary>
    public void Reserve(long rows)
    {
        var places = (long)(rows / FullAt) + 1;
        if (places > _hashes.Length) Resize((int)Math.Min(places, Array.MaxLength));
    }

    /// <summary>True and kept if the hash is new; else the row that has it.</summary>
    public bool TryAdd(ulong hash, long row, out long earlier)
    {
        if (hash == 0) hash = 1;                            // zero marks a free place
        if (_count >= _hashes.Length * FullAt) Resize(checked(_hashes.Length * 2));
        var place = Place(hash);
        if (_hashes[place] == hash)
        {
            earlier = _rows[place];
            return false;
        }
        _hashes[place] = hash;
        _rows[place] = (uint)Math.Min(row, uint.MaxValue);
        _count++;
        earlier = 0;
        return true;
    }

    public bool Contains(ulong hash, out long row)
    {
        if (hash == 0) hash = 1;
        var place = Place(hash);
        row = _rows[place];
        return _hashes[place] == hash;
    }

    private int Place(ulong hash)
    {
        var place = (int)Math.BigMul(hash, (ulong)_hashes.Length, out _);
        while (_hashes[place] != 0 && _hashes[place] != hash) place = place + 1 == _hashes.Length ? 0 : place + 1;
        return place;
    }

    private void Resize(int places)
    {
        var (hashes, rows) = (_hashes, _rows);
        (_hashes, _rows) = (new ulong[places], new uint[places]);
        for (var i = 0; i < hashes.Length; i++)
        {
            if (hashes[i] == 0) continue;
            var place = Place(hashes[i]);
            (_hashes[place], _rows[place]) = (hashes[i], rows[i]);
        }
    }
}
