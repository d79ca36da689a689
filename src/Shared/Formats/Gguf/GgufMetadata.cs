using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace TokenMill.Shared.Formats.Gguf;

/// <summary>
/// Key-value pairs of a file. Only keys and places are kept in memory; values are read when asked for, so callers keep
/// what they need again. Getters named Try give null for an absent key; all of them refuse a value of another type.
/// </summary>
public sealed class GgufMetadata
{
    private readonly SafeFileHandle _file;
    private readonly Dictionary<string, Entry> _entries;

    internal GgufMetadata(SafeFileHandle file, Dictionary<string, Entry> entries) => (_file, _entries) = (file, entries);

    /// <summary>Where a value lies: for arrays behind type and count, for strings behind the length. Count is 1 for scalars.</summary>
    internal readonly record struct Entry(GgufValueType Type, GgufValueType? Element, long Position, long SizeBytes, long Count);

    public IReadOnlyCollection<string> Keys => _entries.Keys;

    public bool Has(string key) => _entries.ContainsKey(key);

    /// <summary>Type of the value, of the elements for an array; null when the key is absent.</summary>
    public GgufValueType? TypeOf(string key) => _entries.TryGetValue(key, out var entry) ? entry.Element ?? entry.Type : null;

    public bool IsArray(string key) => _entries.TryGetValue(key, out var entry) && entry.Type == GgufValueType.Array;

    /// <summary>Elements of an array; null when the key is absent or no array.</summary>
    public long? Count(string key) => IsArray(key) ? _entries[key].Count : null;

    /// <summary>Bytes of a text or an array in the file; known before it is read.</summary>
    public long? SizeBytes(string key) => _entries.TryGetValue(key, out var entry) ? entry.SizeBytes : null;

    public string String(string key) => TryString(key) ?? throw Missing(key);
    public uint UInt32(string key) => TryUInt32(key) ?? throw Missing(key);
    public float Float32(string key) => TryFloat32(key) ?? throw Missing(key);
    public string[] Strings(string key) => TryStrings(key) ?? throw Missing(key);

    public string? TryString(string key) => Scalar(key, GgufValueType.String) is { } bytes ? Encoding.UTF8.GetString(bytes) : null;
    public uint? TryUInt32(string key) => Scalar(key, GgufValueType.UInt32) is { } bytes ? BinaryPrimitives.ReadUInt32LittleEndian(bytes) : null;
    public ushort? TryUInt16(string key) => Scalar(key, GgufValueType.UInt16) is { } bytes ? BinaryPrimitives.ReadUInt16LittleEndian(bytes) : null;
    public float? TryFloat32(string key) => Scalar(key, GgufValueType.Float32) is { } bytes ? BinaryPrimitives.ReadSingleLittleEndian(bytes) : null;
    public bool? TryBool(string key) => Scalar(key, GgufValueType.Bool) is { } bytes ? bytes[0] != 0 : null;

    public string[]? TryStrings(string key)
    {
        if (Array(key, GgufValueType.String) is not { } entry) return null;
        var bytes = Read(entry);
        var strings = new string[entry.Count];
        var at = 0;
        for (var i = 0; i < strings.Length; i++)
        {
            var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at));
            strings[i] = Encoding.UTF8.GetString(bytes, at + 8, length);
            at += 8 + length;
        }
        return strings;
    }

    /// <summary>Numbers of 32 bits, signed or not.</summary>
    public int[]? TryInt32s(string key) => TypeOf(key) is GgufValueType.UInt32 ? Numbers<int>(key, GgufValueType.UInt32) : Numbers<int>(key, GgufValueType.Int32);
    public float[]? TryFloat32s(string key) => Numbers<float>(key, GgufValueType.Float32);
    public bool[]? TryBools(string key) => Numbers<byte>(key, GgufValueType.Bool)?.Select(b => b != 0).ToArray();

    /// <summary>The value as it lies in the file, array type and count or string length included: what a copy writes.</summary>
    public (GgufValueType Type, byte[] Bytes) Raw(string key)
    {
        var entry = _entries[key];
        var lead = entry.Type switch { GgufValueType.Array => 12, GgufValueType.String => 8, _ => 0 };
        return (entry.Type, Read(entry with { Position = entry.Position - lead, SizeBytes = entry.SizeBytes + lead }));
    }

    private T[]? Numbers<T>(string key, GgufValueType type) where T : unmanaged =>
        Array(key, type) is { } entry ? MemoryMarshal.Cast<byte, T>(Read(entry)).ToArray() : null;

    private byte[]? Scalar(string key, GgufValueType type)
    {
        if (!_entries.TryGetValue(key, out var entry)) return null;
        return entry.Type == type ? Read(entry) : throw WrongType(key, $"{type}", entry);
    }

    private Entry? Array(string key, GgufValueType element)
    {
        if (!_entries.TryGetValue(key, out var entry)) return null;
        return entry.Element == element ? entry : throw WrongType(key, $"an array of {element}", entry);
    }

    private byte[] Read(Entry entry)
    {
        var bytes = new byte[entry.SizeBytes];
        GgufFile.ReadExactly(_file, bytes, entry.Position);
        return bytes;
    }

    private static Exception Missing(string key) => GgufFile.Refuse(key, "gguf-key-missing", $"the file lacks {key}");

    private static Exception WrongType(string key, string wanted, Entry entry) =>
        GgufFile.Refuse(key, "gguf-key-type", $"{key} is {(entry.Element is { } e ? $"an array of {e}" : entry.Type)}, not {wanted}");
}
