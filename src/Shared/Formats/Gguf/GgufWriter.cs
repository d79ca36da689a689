using System.Runtime.InteropServices;
using System.Text;

namespace TokenMill.Shared.Formats.Gguf;

/// <summary>
/// Collects pairs and tensors, then writes the file at once: the tensors' contents are asked for one after the other
/// while writing, so a model larger than memory is fine. The file appears whole or not at all.
/// </summary>
public sealed class GgufWriter
{
    private const int Alignment = GgufFile.DefaultAlignment;

    private readonly List<(string Key, GgufValueType Type, byte[] Bytes)> _pairs = [];
    private readonly List<(GgufTensor Tensor, Action<Stream> Write)> _tensors = [];

    public void Add(string key, uint value) => Set(key, GgufValueType.UInt32, Scalar(value));
    public void Add(string key, float value) => Set(key, GgufValueType.Float32, Scalar(value));
    public void Add(string key, bool value) => Set(key, GgufValueType.Bool, [value ? (byte)1 : (byte)0]);
    public void Add(string key, string value) => Set(key, GgufValueType.String, Text(value));
    public void Add(string key, ReadOnlySpan<int> values) => Set(key, GgufValueType.Array, Array(GgufValueType.Int32, values.Length, MemoryMarshal.AsBytes(values)));
    public void Add(string key, ReadOnlySpan<float> values) =>
        Set(key, GgufValueType.Array, Array(GgufValueType.Float32, values.Length, MemoryMarshal.AsBytes(values)));
    public void Add(string key, IReadOnlyList<string> values) =>
        Set(key, GgufValueType.Array, Array(GgufValueType.String, values.Count, [.. values.SelectMany(Text)]));

    /// <summary>Takes over pairs of another file, all or those chosen; pairs added later replace those of the same key. Alignment is this writer's own.</summary>
    public void CopyPairs(GgufMetadata metadata, Func<string, bool>? choose = null)
    {
        foreach (var key in metadata.Keys.Where(k => k != "general.alignment" && choose?.Invoke(k) != false))
        {
            var (type, bytes) = metadata.Raw(key);
            Set(key, type, bytes);
        }
    }

    public void Remove(string key) => _pairs.RemoveAll(p => p.Key == key);

    /// <summary><paramref name="dimensions"/> in GGUF order; <paramref name="write"/> writes exactly the tensor's bytes.</summary>
    public void AddTensor(string name, IReadOnlyList<long> dimensions, GgufType type, Action<Stream> write) =>
        _tensors.Add((new GgufTensor(name, dimensions, type, 0), write));

    public void AddTensor(string name, IReadOnlyList<long> dimensions, ReadOnlyMemory<float> values) =>
        AddTensor(name, dimensions, GgufType.F32, stream => stream.Write(MemoryMarshal.AsBytes(values.Span)));

    public void Save(string path) => AtomicFile.Write(path, WriteTo);

    private void WriteTo(FileStream stream)
    {
        var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
        writer.Write(GgufFile.Magic);
        writer.Write(3u);
        writer.Write((ulong)_tensors.Count);
        writer.Write((ulong)_pairs.Count);
        foreach (var (key, type, bytes) in _pairs)
        {
            writer.Write(Text(key));
            writer.Write((uint)type);
            writer.Write(bytes);
        }
        var offset = 0L;
        foreach (var (tensor, _) in _tensors)
        {
            writer.Write(Text(tensor.Name));
            writer.Write((uint)tensor.Dimensions.Count);
            foreach (var dimension in tensor.Dimensions) writer.Write((ulong)dimension);
            writer.Write((uint)tensor.Type);
            writer.Write((ulong)offset);
            offset += (tensor.SizeBytes + Alignment - 1) / Alignment * Alignment;
        }
        writer.Flush();
        foreach (var (tensor, write) in _tensors)
        {
            Pad(stream);
            var start = stream.Position;
            write(stream);
            if (stream.Position - start != tensor.SizeBytes)
                throw new InvalidOperationException($"{tensor.Name}: {stream.Position - start} bytes written, {tensor.SizeBytes} announced");
        }
        Pad(stream);
    }

    private static void Pad(FileStream stream)
    {
        Span<byte> zeros = stackalloc byte[Alignment];
        zeros.Clear();
        stream.Write(zeros[..(int)((Alignment - stream.Position % Alignment) % Alignment)]);
    }

    private void Set(string key, GgufValueType type, byte[] bytes)
    {
        var index = _pairs.FindIndex(p => p.Key == key);
        if (index >= 0) _pairs[index] = (key, type, bytes);
        else _pairs.Add((key, type, bytes));
    }

    private static byte[] Scalar<T>(T value) where T : unmanaged => MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)).ToArray();

    private static byte[] Text(string value) => [.. BitConverter.GetBytes((ulong)Encoding.UTF8.GetByteCount(value)), .. Encoding.UTF8.GetBytes(value)];

    private static byte[] Array(GgufValueType element, int count, ReadOnlySpan<byte> elements) =>
        [.. BitConverter.GetBytes((uint)element), .. BitConverter.GetBytes((ulong)count), .. elements];
}
