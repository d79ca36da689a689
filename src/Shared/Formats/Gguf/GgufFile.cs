using System.Buffers;
using Microsoft.Win32.SafeHandles;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats.Gguf;

/// <summary>
/// A GGUF file (version 2 or 3, little-endian). Opening it checks the whole structure: counts, strings, types,
/// dimensions, products and offsets against the file's size, so that native code sees only files whose tables are true.
/// What the values mean together is <see cref="GgufModel"/>'s affair. Reads go through the file handle, not a mapping:
/// a file that shrinks under us is an error then, not the end of the process. Reading is thread-safe.
/// </summary>
public sealed class GgufFile : IDisposable
{
    public const uint Magic = 0x46554747;                  // "GGUF"
    public const int DefaultAlignment = 32, MaxAlignment = 1 << 16;
    private const int MaxPairs = 1 << 14, MaxTensors = 1 << 16, MaxKeyBytes = 1024, MaxNameBytes = 63;
    private const long MaxStrings = 1 << 20, MaxNumbers = 1 << 22, MaxStringsBytes = 64 << 20;
    private const int MinPairBytes = 8 + 1 + 4 + 1, MinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

    private readonly SafeFileHandle _file;
    private readonly Dictionary<string, GgufTensor> _byName;

    private GgufFile(string path, SafeFileHandle file, uint version, int alignment, GgufMetadata metadata, List<GgufTensor> tensors)
    {
        (Path, _file, Version, Alignment, Metadata, Tensors) = (path, file, version, alignment, metadata, tensors);
        _byName = tensors.ToDictionary(t => t.Name);
    }

    public string Path { get; }
    public uint Version { get; }
    public int Alignment { get; }
    public GgufMetadata Metadata { get; }

    /// <summary>In the order of the file, which is also the order of their data.</summary>
    public IReadOnlyList<GgufTensor> Tensors { get; }

    public GgufTensor? Find(string name) => _byName.GetValueOrDefault(name);

    /// <exception cref="RefusedException">The file is no sound GGUF; the error names field and remedy.</exception>
    public static GgufFile Open(string path)
    {
        var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read, FileOptions.None);
        try
        {
            return Parse(path, file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>All bytes of a tensor, as stored.</summary>
    public void ReadBytes(GgufTensor tensor, Span<byte> target)
    {
        if (target.Length != tensor.SizeBytes)
            throw new ArgumentException($"{tensor.Name} has {tensor.SizeBytes} bytes, the target {target.Length}", nameof(target));
        ReadExactly(_file, target, tensor.Offset);
    }

    /// <summary>Copies a tensor's bytes, as stored.</summary>
    public void CopyTo(GgufTensor tensor, Stream target)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(1 << 20);
        try
        {
            for (var done = 0L; done < tensor.SizeBytes;)
            {
                var piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, tensor.SizeBytes - done));
                ReadExactly(_file, piece, tensor.Offset + done);
                target.Write(piece);
                done += piece.Length;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>
    /// Rows of a tensor expanded to float32, from <paramref name="firstRow"/> on, as many as the target holds.
    /// </summary>
    /// <exception cref="RefusedException">The type cannot be expanded.</exception>
    public void ReadFloats(GgufTensor tensor, Span<float> target, long firstRow = 0)
    {
        if (!tensor.Type.CanExpand())
            throw Refuse(tensor.Name, "gguf-type-unsupported", $"weights of type {tensor.Type} cannot be expanded here", "use F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K or Q6_K");
        ArgumentOutOfRangeException.ThrowIfNegative(firstRow);
        if (target.Length % tensor.RowLength != 0 || firstRow + target.Length / tensor.RowLength > tensor.Rows)
            throw new ArgumentException($"{target.Length} values are not rows {firstRow}… of {tensor.Name} ({tensor.Rows} × {tensor.RowLength})", nameof(target));

        var (blockElements, blockBytes) = tensor.Type.Block();
        var buffer = ArrayPool<byte>.Shared.Rent(1 << 20);
        try
        {
            var blocksAtOnce = buffer.Length / blockBytes;
            var position = tensor.Offset + firstRow * tensor.RowBytes;
            while (target.Length > 0)
            {
                var blocks = Math.Min(blocksAtOnce, target.Length / blockElements);
                var bytes = buffer.AsSpan(0, blocks * blockBytes);
                ReadExactly(_file, bytes, position);
                GgufDecoder.Decode(tensor.Type, bytes, target[..(blocks * blockElements)]);
                position += bytes.Length;
                target = target[(blocks * blockElements)..];
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    public void Dispose() => _file.Dispose();

    internal static void ReadExactly(SafeFileHandle file, Span<byte> target, long position)
    {
        while (target.Length > 0)
        {
            var read = RandomAccess.Read(file, target, position);
            if (read == 0) throw new EndOfStreamException("the model file has become shorter while it was being read");
            position += read;
            target = target[read..];
        }
    }

    internal static RefusedException Refuse(string? field, string code, string message, string remedy = "the file is damaged or made to do harm: fetch it again from a source you trust") =>
        new(new Error(code, field is null || message.Contains(field, StringComparison.Ordinal) ? message : $"{field}: {message}", remedy) { Field = field });

    private static GgufFile Parse(string path, SafeFileHandle file)
    {
        var fileBytes = RandomAccess.GetLength(file);
        ForeignFile.Refuse(file, fileBytes, "gguf-magic", "GGUF"u8);
        var reader = new GgufHeaderReader(file, fileBytes);
        reader.UInt32("magic");
        var version = reader.UInt32("version");
        if (version is not (2 or 3))
            throw Refuse("version", "gguf-version", (version & 0xFFFF) == 0 ? "a big-endian file" : $"version {version}", "versions 2 and 3, little-endian, are read: convert the model again");

        var tensorCount = Count(reader, "tensor_count", MaxTensors);
        var pairCount = Count(reader, "kv_count", MaxPairs);
        CheckRoom(reader, "kv_count", pairCount, MinPairBytes);
        var entries = ReadPairs(reader, pairCount);
        CheckRoom(reader, "tensor_count", tensorCount, MinTensorBytes);

        var metadata = new GgufMetadata(file, entries);
        var alignment = metadata.TryUInt32("general.alignment") ?? DefaultAlignment;
        if (!uint.IsPow2(alignment) || alignment > MaxAlignment)
            throw Refuse("general.alignment", "gguf-alignment", $"an alignment of {alignment}, not a power of two up to {MaxAlignment}");
        return new GgufFile(path, file, version, (int)alignment, metadata, ReadTensors(reader, tensorCount, (int)alignment, fileBytes));
    }

    private static int Count(GgufHeaderReader reader, string field, int max)
    {
        var count = reader.UInt64(field);
        return count <= (ulong)max ? (int)count : throw Refuse(field, "gguf-count", $"{count} entries; no model has more than {max}");
    }

    private static void CheckRoom(GgufHeaderReader reader, string field, int count, int minBytesEach)
    {
        if ((long)count * minBytesEach > reader.Remaining)
            throw Refuse(field, "gguf-count", $"{count} entries do not fit into the {reader.Remaining} bytes that are left", "the download is incomplete or the file damaged: fetch it again");
    }

    private static Dictionary<string, GgufMetadata.Entry> ReadPairs(GgufHeaderReader reader, int count)
    {
        var entries = new Dictionary<string, GgufMetadata.Entry>(count);
        for (var i = 0; i < count; i++)
        {
            var key = reader.Text($"key {i}", MaxKeyBytes);
            if (key.Length == 0 || key.Any(char.IsControl)) throw Refuse($"key {i}", "gguf-key-invalid", "an empty key, or one with control characters");
            if (!entries.TryAdd(key, ReadValue(reader, key))) throw Refuse(key, "gguf-duplicate-key", $"the key {key} is there twice");
        }
        return entries;
    }

    private static GgufMetadata.Entry ReadValue(GgufHeaderReader reader, string key)
    {
        var type = (GgufValueType)reader.UInt32(key);
        if (type == GgufValueType.Array) return ReadArray(reader, key);
        if (type == GgufValueType.String)
        {
            var start = reader.Position + 8;
            reader.SkipText(key);
            return new(type, null, start, reader.Position - start, 1);
        }
        if (type.Size() == 0) throw Refuse(key, "gguf-value-type", $"a value of the unknown type {(uint)type}");
        var position = reader.Position;
        reader.Skip(type.Size(), key);
        return new(type, null, position, type.Size(), 1);
    }

    private static GgufMetadata.Entry ReadArray(GgufHeaderReader reader, string key)
    {
        var element = (GgufValueType)reader.UInt32(key);
        if (element == GgufValueType.Array) throw Refuse(key, "gguf-array-nested", "arrays inside arrays");
        if (element != GgufValueType.String && element.Size() == 0) throw Refuse(key, "gguf-value-type", $"elements of the unknown type {(uint)element}");

        var count = reader.UInt64(key);
        var (most, size) = element == GgufValueType.String ? (MaxStrings, 8) : (MaxNumbers, element.Size());
        if (count > (ulong)most || (long)count * size > reader.Remaining)
            throw Refuse(key, "gguf-array-length", $"an array of {count} elements where {Math.Min(most, reader.Remaining / size)} are possible");

        var position = reader.Position;
        if (element == GgufValueType.String)
            for (ulong i = 0; i < count; i++)
            {
                try
                {
                    reader.SkipText(key);
                }
                catch (RefusedException e) when (e.Error.Code != "gguf-truncated")
                {
                    throw Refuse($"{key}[{i}]", e.Error.Code, e.Error.Message.Replace($"{key}: ", "", StringComparison.Ordinal));
                }
                if (reader.Position - position > MaxStringsBytes) throw Refuse(key, "gguf-array-length", $"texts of more than {MaxStringsBytes} bytes together");
            }
        else
            reader.Skip((long)count * size, key);
        return new(GgufValueType.Array, element, position, reader.Position - position, (long)count);
    }

    private static List<GgufTensor> ReadTensors(GgufHeaderReader reader, int count, int alignment, long fileBytes)
    {
        var infos = new List<(GgufTensor Tensor, ulong Offset)>(count);
        var names = new HashSet<string>(count);
        for (var i = 0; i < count; i++)
        {
            var (tensor, offset) = ReadTensorInfo(reader, i);
            if (!names.Add(tensor.Name)) throw Refuse(tensor.Name, "gguf-duplicate-tensor", $"the tensor {tensor.Name} is there twice");
            infos.Add((tensor, offset));
        }

        // Each tensor begins where the one before ends, rounded up: no overlap and no hole is possible then.
        var expected = (Int128)0;
        foreach (var (tensor, offset) in infos)
        {
            if (offset != expected)
                throw Refuse(tensor.Name, "gguf-tensor-offset", $"data at offset {offset} instead of {expected}: tensors lie one behind the other, aligned to {alignment} bytes");
            expected = RoundUp(expected + tensor.SizeBytes, alignment);
        }
        var dataStart = RoundUp(reader.Position, alignment);
        foreach (var (tensor, offset) in infos)
            if (dataStart + offset + tensor.SizeBytes > fileBytes)
                throw Refuse(tensor.Name, "gguf-truncated", $"the data ends at byte {dataStart + offset + tensor.SizeBytes}, the file at {fileBytes}", "the download is incomplete: fetch it again");
        return infos.ConvertAll(info => info.Tensor with { Offset = (long)(dataStart + info.Offset) });
    }

    private static (GgufTensor, ulong Offset) ReadTensorInfo(GgufHeaderReader reader, int index)
    {
        var name = reader.Text($"tensor {index}", MaxNameBytes);
        if (name.Length == 0 || name.Any(char.IsControl)) throw Refuse($"tensor {index}", "gguf-tensor-name", "an empty name, or one with control characters");

        var rank = reader.UInt32(name);
        if (rank is 0 or > 4) throw Refuse(name, "gguf-dims", $"{rank} dimensions; 1 to 4 are possible");
        var dimensions = new long[rank];
        var elements = (Int128)1;
        for (var d = 0; d < rank; d++)
        {
            dimensions[d] = unchecked((long)reader.UInt64(name));
            if (dimensions[d] <= 0) throw Refuse(name, "gguf-dims", $"dimension {d} is {dimensions[d]}");
            elements *= dimensions[d];
            if (elements > 1L << 59) throw Refuse(name, "gguf-dims", "more elements than can be counted");      // 8 bytes each still fit a signed 64-bit number
        }

        var type = (GgufType)reader.UInt32(name);
        var (blockElements, _) = type.Block();
        if (blockElements == 0) throw Refuse(name, "gguf-tensor-type", $"the unknown type {(uint)type}");
        if (dimensions[0] % blockElements != 0)
            throw Refuse(name, "gguf-row-size", $"rows of {dimensions[0]} elements, not a multiple of the {blockElements} that a block of {type} holds");
        return (new GgufTensor(name, dimensions, type, 0), reader.UInt64(name));
    }

    private static Int128 RoundUp(Int128 value, int alignment) => (value + alignment - 1) / alignment * alignment;
}
