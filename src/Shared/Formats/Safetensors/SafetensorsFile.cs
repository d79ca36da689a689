using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.Formats.Safetensors;

/// <summary>
/// A safetensors file: 8 bytes of header length, a JSON header, the data. Opening it checks that the tensors cover the
/// data exactly, without overlap or hole. Format: https://huggingface.co/docs/safetensors. Reading is thread-safe.
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    internal const string Damaged = "the file is damaged or made to do harm: fetch it again from a source you trust";
    private const string Incomplete = "the download is incomplete: fetch it again";
    private const int MaxHeaderBytes = 100_000_000;         // the format's own limit

    private readonly SafeFileHandle _file;
    private readonly Dictionary<string, SafetensorsTensor> _byName;

    private SafetensorsFile(string path, SafeFileHandle file, List<SafetensorsTensor> tensors, Dictionary<string, string> metadata)
    {
        (Path, _file, Tensors, Metadata) = (path, file, tensors, metadata);
        _byName = tensors.ToDictionary(t => t.Name);
    }

    public string Path { get; }

    /// <summary>In the order of their data.</summary>
    public IReadOnlyList<SafetensorsTensor> Tensors { get; }
    public IReadOnlyDictionary<string, string> Metadata { get; }

    public SafetensorsTensor? Find(string name) => _byName.GetValueOrDefault(name);

    /// <exception cref="RefusedException">The file is no sound safetensors file.</exception>
    public static SafetensorsFile Open(string path)
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

    /// <summary>A tensor as float32.</summary>
    public float[] ReadFloats(SafetensorsTensor tensor)
    {
        var values = new float[tensor.Elements];
        ReadFloats(tensor, 0, values);
        return values;
    }

    /// <summary>Elements from <paramref name="first"/> on as float32, as many as <paramref name="target"/> holds.</summary>
    public void ReadFloats(SafetensorsTensor tensor, long first, Span<float> target)
    {
        if (tensor.Type is not (SafetensorsType.F32 or SafetensorsType.F16 or SafetensorsType.BF16))
            throw Refuse(tensor.Name, "safetensors-dtype", $"{tensor.Name}: weights of type {tensor.Type} are not supported", "use F32, F16 or BF16");
        var size = tensor.Type.SizeBytes();
        if (tensor.Type == SafetensorsType.F32)
        {
            GgufFile.ReadExactly(_file, MemoryMarshal.AsBytes(target), tensor.Offset + first * size);
            return;
        }
        var bytes = new byte[target.Length * size];
        GgufFile.ReadExactly(_file, bytes, tensor.Offset + first * size);
        GgufDecoder.Decode(tensor.Type == SafetensorsType.F16 ? GgufType.F16 : GgufType.BF16, bytes, target);
    }

    /// <summary>The tensor as it is stored.</summary>
    public byte[] ReadBytes(SafetensorsTensor tensor)
    {
        var bytes = new byte[tensor.SizeBytes];
        GgufFile.ReadExactly(_file, bytes, tensor.Offset);
        return bytes;
    }

    /// <summary>The tensor as it is stored, a piece at a time.</summary>
    public void CopyTo(SafetensorsTensor tensor, Stream target)
    {
        var buffer = new byte[Math.Min(tensor.SizeBytes, 1 << 20)];
        for (var done = 0L; done < tensor.SizeBytes; done += buffer.Length)
        {
            var piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, tensor.SizeBytes - done));
            GgufFile.ReadExactly(_file, piece, tensor.Offset + done);
            target.Write(piece);
        }
    }

    public void Dispose() => _file.Dispose();

    internal static RefusedException Refuse(string? field, string code, string message, string remedy = Damaged) =>
        new(new Error(code, message, remedy) { Field = field });

    private static SafetensorsFile Parse(string path, SafeFileHandle file)
    {
        var fileBytes = RandomAccess.GetLength(file);
        ForeignFile.RefuseLfsPointer(file, fileBytes, System.IO.Path.GetFileName(path));
        if (fileBytes < 8) throw Refuse(null, "safetensors-truncated", $"a file of {fileBytes} bytes", Incomplete);
        var lengthBytes = new byte[8];
        GgufFile.ReadExactly(file, lengthBytes, 0);
        var headerBytes = BinaryPrimitives.ReadUInt64LittleEndian(lengthBytes);
        if (headerBytes > MaxHeaderBytes) throw Refuse(null, "safetensors-header", $"a header of {headerBytes} bytes; the format allows {MaxHeaderBytes:N0}");
        if ((long)headerBytes > fileBytes - 8) throw Refuse(null, "safetensors-truncated", $"a header of {headerBytes} bytes in a file of {fileBytes}", Incomplete);
        var header = new byte[headerBytes];
        GgufFile.ReadExactly(file, header, 8);

        var (tensors, metadata) = SafetensorsHeader.Parse(header);
        var dataStart = 8 + (long)headerBytes;
        CheckCover(tensors, fileBytes - dataStart);
        return new SafetensorsFile(path, file, tensors.ConvertAll(t => t with { Offset = dataStart + t.Offset }), metadata);
    }

    private static void CheckCover(List<SafetensorsTensor> tensors, long dataBytes)
    {
        // Empty tensors sort before the one that begins where they lie.
        tensors.Sort((a, b) => a.Offset != b.Offset ? a.Offset.CompareTo(b.Offset) : a.SizeBytes.CompareTo(b.SizeBytes));
        var end = 0L;
        foreach (var tensor in tensors)
        {
            if (tensor.Offset != end)
                throw Refuse(Culprit(tensors, tensor, end), "safetensors-offsets", $"{tensor.Name} begins at byte {tensor.Offset} of the data, the tensor before ends at {end}");
            end = checked(tensor.Offset + tensor.SizeBytes);
        }
        if (end > dataBytes) throw Refuse(null, "safetensors-truncated", $"the data ends at byte {dataBytes} of {end}", Incomplete);
        if (end < dataBytes) throw Refuse(null, "safetensors-offsets", $"{dataBytes - end} bytes after the last tensor");
    }

    /// <summary>A tensor moved elsewhere leaves a hole: then the one that lies beyond everything else is to blame, not its neighbour.</summary>
    private static string Culprit(List<SafetensorsTensor> tensors, SafetensorsTensor tensor, long end)
    {
        var last = tensors[^1];
        return tensor.Offset > end && tensors.Count > 1 && last.Offset > tensors[^2].Offset + tensors[^2].SizeBytes ? last.Name : tensor.Name;
    }
}
