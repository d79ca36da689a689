using System.Text;
using System.Text.Json;

namespace TokenMill.Shared.Formats.Safetensors;

/// <summary>Collects tensors, then writes the file at once; contents are asked for one after the other. The file appears whole or not at all.</summary>
public sealed class SafetensorsWriter
{
    private readonly List<(SafetensorsTensor Tensor, Action<Stream> Write)> _tensors = [];

    /// <summary>Bytes of all tensors so far.</summary>
    public long DataBytes { get; private set; }

    /// <summary><paramref name="shape"/> in torch order; <paramref name="write"/> writes exactly the tensor's bytes.</summary>
    public void Add(string name, IReadOnlyList<long> shape, SafetensorsType type, Action<Stream> write)
    {
        var size = shape.Aggregate((long)type.SizeBytes(), (product, length) => checked(product * length));
        _tensors.Add((new SafetensorsTensor(name, shape, type, DataBytes, size), write));
        DataBytes += size;
    }

    public void Save(string path) => AtomicFile.Write(path, stream =>
    {
        var header = Header();
        stream.Write(BitConverter.GetBytes((ulong)header.Length));
        stream.Write(header);
        foreach (var (tensor, write) in _tensors)
        {
            var start = stream.Position;
            write(stream);
            if (stream.Position - start != tensor.SizeBytes)
                throw new InvalidOperationException($"{tensor.Name}: {stream.Position - start} bytes written, {tensor.SizeBytes} announced");
        }
    });

    private byte[] Header()
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("__metadata__");
            json.WriteString("format", "pt");                   // what Python's loaders look for
            json.WriteEndObject();
            foreach (var (tensor, _) in _tensors)
            {
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", tensor.Type.ToString());
                Numbers(json, "shape", tensor.Shape);
                Numbers(json, "data_offsets", [tensor.Offset, tensor.Offset + tensor.SizeBytes]);
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        buffer.Write(Encoding.ASCII.GetBytes(new string(' ', (int)((8 - buffer.Length % 8) % 8))));      // data begins aligned
        return buffer.ToArray();
    }

    private static void Numbers(Utf8JsonWriter json, string name, IEnumerable<long> numbers)
    {
        json.WriteStartArray(name);
        foreach (var number in numbers) json.WriteNumberValue(number);
        json.WriteEndArray();
    }
}
