using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Why a record cannot be stored as it stands; no field where the record does not parse.</summary>
internal sealed record RecordFault(string? Field, string Code, string Message);

/// <summary>
/// Reads a record once as strict JSON: well-formed UTF-8, RFC 8259 without extensions, at most 64 levels, no key twice in an object,
/// no NUL, no half surrogate pair. On the way it hashes the value, so that records that are equal as data (spacing and the order
/// of keys aside) have equal hashes; of the record itself only the keys that formats know count.
/// One instance reads many records; it builds no tree, so a hostile record costs no more than its bytes.
/// </summary>
internal sealed class StrictJson
{
    public const int MaxDepth = 64;
    private const int LinearKeys = 16;

    /// <summary>Keys that some format reads; what else a row holds does not make it another row.</summary>
    private static readonly byte[][] KnownKeys = Array.ConvertAll(
        ["messages", "tools", "conversations", "instruction", "input", "output", "system", "history", "prompt", "chosen", "rejected", "preferred_output", "non_preferred_output", "text", "ids", "labels"],
        Encoding.UTF8.GetBytes);

    private readonly Level[] _levels = new Level[MaxDepth + 1];
    private readonly List<ulong> _keys = [];
    private readonly Stack<HashSet<ulong>> _spareSets = new();
    private byte[] _unescaped = new byte[256];
    private int _depth;

    /// <summary>One open object or array.</summary>
    private struct Level
    {
        public bool IsObject, Counts;
        public int Index, FirstKey, KeyStart, KeyLength;
        public ulong Hash, KeyHash;
        public HashSet<ulong>? ManyKeys;
    }

    /// <summary>Hash of the last record that <see cref="Check"/> found good.</summary>
    public ulong Hash { get; private set; }

    /// <summary>Null for a good record, else its first fault.</summary>
    public RecordFault? Check(ReadOnlySpan<byte> record)
    {
        if (!Utf8.IsValid(record)) return InvalidUtf8(record);
        var nul = record.IndexOf((byte)0);
        if (nul >= 0) return new RecordFault(PathAt(record, nul), "nul-character", "the text contains a NUL character, which cannot be stored; remove it");
        Reset();
        var reader = Reader(record);
        try
        {
            while (reader.Read())
                if (Take(ref reader, record) is { } fault) return fault;
            return null;
        }
        catch (JsonException e)
        {
            return new RecordFault(null, "invalid-json", JsonMistake.Describe(record, e, valueComplete: _depth == 0 && reader.BytesConsumed > 0));
        }
    }

    private static Utf8JsonReader Reader(ReadOnlySpan<byte> record) =>
        new(record, new JsonReaderOptions { MaxDepth = MaxDepth + 2, CommentHandling = JsonCommentHandling.Disallow, AllowTrailingCommas = false });

    private RecordFault? Take(ref Utf8JsonReader reader, ReadOnlySpan<byte> record)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject or JsonTokenType.StartArray:
                if (_depth == MaxDepth) return new RecordFault(null, "json-too-deep", $"nested {JsonMistake.Depth(record):N0} levels deep, at most {MaxDepth} are read; flatten the value or leave it out");
                ref var opened = ref _levels[_depth++];
                var spare = opened.ManyKeys;
                opened = new Level { IsObject = reader.TokenType == JsonTokenType.StartObject, FirstKey = _keys.Count, Hash = (ulong)reader.TokenType, ManyKeys = spare, Counts = true };
                return null;

            case JsonTokenType.EndObject or JsonTokenType.EndArray:
                ref var closed = ref _levels[--_depth];
                _keys.RemoveRange(closed.FirstKey, _keys.Count - closed.FirstKey);
                Release(ref closed);
                Complete(StableHash.Mix(closed.Hash));
                return null;

            case JsonTokenType.PropertyName:
                return Key(ref reader, record);

            case JsonTokenType.String:
                if (reader.ValueIsEscaped && Unstorable(reader.ValueSpan) is var (code, message)) return new RecordFault(Path(record), code, message);
                Complete(StableHash.Of(Text(ref reader), seed: 1));
                return null;

            case JsonTokenType.Number:
                Complete(StableHash.Of(reader.ValueSpan, seed: 2));
                return null;

            default:
                Complete(reader.TokenType switch { JsonTokenType.True => StableHash.True, JsonTokenType.False => StableHash.False, _ => StableHash.Null });
                return null;
        }
    }

    private RecordFault? Key(ref Utf8JsonReader reader, ReadOnlySpan<byte> record)
    {
        ref var level = ref _levels[_depth - 1];
        level.KeyStart = (int)reader.TokenStartIndex + 1;
        level.KeyLength = reader.ValueSpan.Length;
        if (reader.ValueIsEscaped && Unstorable(reader.ValueSpan) is var (code, message)) return new RecordFault(Path(record), code, message);
        var name = Text(ref reader);
        level.KeyHash = StableHash.Of(name, seed: 3);
        level.Counts = _depth > 1 || IsKnown(name);
        if (!Twice(ref level)) return null;
        return new RecordFault(Path(record), "duplicate-key", $"the key '{Encoding.UTF8.GetString(name)}' stands twice in one object, and which one counts would be chance; remove one");
    }

    private static bool IsKnown(ReadOnlySpan<byte> name)
    {
        foreach (var known in KnownKeys)
            if (name.SequenceEqual(known)) return true;
        return false;
    }

    /// <summary>A few keys are compared one by one; many go into a set, so that a million of them cost no quadratic time.</summary>
    private bool Twice(ref Level level)
    {
        if (level.ManyKeys is { } set) return !set.Add(level.KeyHash);
        for (var k = level.FirstKey; k < _keys.Count; k++)
            if (_keys[k] == level.KeyHash) return true;
        _keys.Add(level.KeyHash);
        if (_keys.Count - level.FirstKey < LinearKeys) return false;
        level.ManyKeys = _spareSets.TryPop(out var spare) ? spare : [];
        for (var k = level.FirstKey; k < _keys.Count; k++) level.ManyKeys.Add(_keys[k]);
        return false;
    }

    private void Complete(ulong value)
    {
        if (_depth == 0)
        {
            Hash = value;
            return;
        }
        ref var level = ref _levels[_depth - 1];
        if (level.IsObject)
        {
            if (level.Counts) level.Hash += StableHash.Mix(StableHash.Fold(level.KeyHash, value));    // a sum: the order of keys does not matter
        }
        else
        {
            level.Hash = StableHash.Fold(level.Hash, value);
            level.Index++;
        }
    }

    private ReadOnlySpan<byte> Text(ref Utf8JsonReader reader)
    {
        if (!reader.ValueIsEscaped) return reader.ValueSpan;
        if (_unescaped.Length < reader.ValueSpan.Length) _unescaped = new byte[reader.ValueSpan.Length * 2];
        return _unescaped.AsSpan(0, reader.CopyString(_unescaped));
    }

    /// <summary>\u0000, or half a pair of \uD800…\uDFFF.</summary>
    private static (string Code, string Message)? Unstorable(ReadOnlySpan<byte> escaped)
    {
        for (var at = 0; (at = Next(escaped, at)) >= 0;)
        {
            if (escaped[at + 1] != 'u')
            {
                at += 2;
                continue;
            }
            var unit = Unit(escaped, at);
            if (unit == 0) return ("nul-character", "the text contains a NUL character (\\u0000), which cannot be stored; remove it");
            at += 6;
            if (!char.IsSurrogate(unit)) continue;
            var paired = char.IsHighSurrogate(unit) && at + 6 <= escaped.Length && escaped[at] == '\\' && escaped[at + 1] == 'u' && char.IsLowSurrogate(Unit(escaped, at));
            if (!paired) return ("lone-surrogate", $"\\u{(int)unit:x4} is half of a surrogate pair, which cannot be written as UTF-8; remove it");
            at += 6;
        }
        return null;

        static int Next(ReadOnlySpan<byte> text, int from)
        {
            var found = text[from..].IndexOf((byte)'\\');
            return found < 0 ? -1 : from + found;
        }

        static char Unit(ReadOnlySpan<byte> text, int at) =>
            (char)Convert.ToUInt16(Encoding.ASCII.GetString(text.Slice(at + 2, 4)), 16);
    }

    private RecordFault InvalidUtf8(ReadOnlySpan<byte> record)
    {
        var at = Utf8Fault.FirstInvalid(record, out var length);
        var field = PathAt(record, at);
        var sequence = Convert.ToHexStringLower(record.Slice(at, length));
        if (record[at] == 0xED && length == 3)
            return new RecordFault(field, "lone-surrogate", $"bytes {sequence} are half of a surrogate pair, which no UTF-8 can hold; remove it");
        return new RecordFault(field, "invalid-utf8", $"bytes {sequence} at byte {at + 1} of the row are not UTF-8{Utf8Fault.LikelyEncoding(record)}; save the file as UTF-8");
    }

    /// <summary>Path of the value that covers a byte, read from a copy without control characters, in which other bytes than ASCII are question marks.</summary>
    private string? PathAt(ReadOnlySpan<byte> record, int offset)
    {
        var copy = ArrayPool<byte>.Shared.Rent(record.Length);
        try
        {
            for (var i = 0; i < record.Length; i++) copy[i] = record[i] switch { < 0x20 => (byte)' ', >= 0x7F => (byte)'?', var b => b };
            var plain = copy.AsSpan(0, record.Length);
            Reset();
            var reader = Reader(plain);
            while (reader.Read())
            {
                var inside = reader.TokenStartIndex <= offset && offset < reader.BytesConsumed;
                if (Take(ref reader, plain) is not null) return null;
                if (!inside) continue;
                // A value inside an array has been counted already.
                if (reader.TokenType != JsonTokenType.PropertyName && _depth > 0 && !_levels[_depth - 1].IsObject) _levels[_depth - 1].Index--;
                return Path(record);
            }
            return null;
        }
        catch (JsonException)
        {
            return null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(copy);
        }
    }

    private string? Path(ReadOnlySpan<byte> record)
    {
        var path = new StringBuilder();
        for (var d = 0; d < _depth; d++)
        {
            ref var level = ref _levels[d];
            if (!level.IsObject) path.Append('[').Append(level.Index).Append(']');
            else if (level.KeyLength > 0) path.Append(path.Length > 0 ? "." : "").Append(Name(record.Slice(level.KeyStart, level.KeyLength)));
        }
        return path.Length == 0 ? null : path.ToString();
    }

    private static string Name(ReadOnlySpan<byte> raw)
    {
        var text = Encoding.UTF8.GetString(raw);
        if (!text.Contains('\\', StringComparison.Ordinal)) return text;
        try
        {
            return JsonSerializer.Deserialize<string>($"\"{text}\"") ?? text;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return text;                                    // a key with half a surrogate pair is shown as it is spelled
        }
    }

    private void Release(ref Level level)
    {
        if (level.ManyKeys is not { } set) return;
        level.ManyKeys = null;
        set.Clear();
        if (set.Capacity < 4096) _spareSets.Push(set);
    }

    private void Reset()
    {
        for (var d = 0; d < _depth; d++) Release(ref _levels[d]);
        _depth = 0;
        _keys.Clear();
    }
}
