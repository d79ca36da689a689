namespace TokenMill.Training.Torch;

/// <summary>Number formats that cross the border; the values are tm_dtype of Shim.h.</summary>
public enum TensorType
{
    Float32 = 0,
    BFloat16 = 1,
    Int64 = 2,
    Float64 = 3,
    UInt8 = 4,
}

public static class TensorTypes
{
    public static int SizeBytes(this TensorType type) => type switch
    {
        TensorType.Float32 => 4,
        TensorType.BFloat16 => 2,
        TensorType.Int64 or TensorType.Float64 => 8,
        _ => 1,
    };
}
