namespace TokenMill.Shared.Formats.Safetensors;

/// <summary>Element types of safetensors; names as in the header.</summary>
public enum SafetensorsType { F64, F32, F16, BF16, F8_E4M3, F8_E5M2, I64, I32, I16, I8, U64, U32, U16, U8, BOOL }

public static class SafetensorsTypes
{
    public static int SizeBytes(this SafetensorsType type) => type switch
    {
        SafetensorsType.F64 or SafetensorsType.I64 or SafetensorsType.U64 => 8,
        SafetensorsType.F32 or SafetensorsType.I32 or SafetensorsType.U32 => 4,
        SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.I16 or SafetensorsType.U16 => 2,
        _ => 1,
    };
}

/// <summary>One tensor: <paramref name="Shape"/> in torch order (rows first), <paramref name="Offset"/> from the beginning of the file.</summary>
public sealed record SafetensorsTensor(string Name, IReadOnlyList<long> Shape, SafetensorsType Type, long Offset, long SizeBytes)
{
    public long Elements => SizeBytes / Type.SizeBytes();

    public bool Has(params ReadOnlySpan<long> shape) => shape.SequenceEqual([.. Shape]);
}
