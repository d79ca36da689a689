namespace TokenMill.Shared.Formats.Gguf;

/// <summary>How a tensor's elements are stored; the numbers are ggml's. Values that ggml has withdrawn are not listed.</summary>
public enum GgufType : uint
{
    F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8, Q8_1 = 9,
    Q2_K = 10, Q3_K = 11, Q4_K = 12, Q5_K = 13, Q6_K = 14, Q8_K = 15,
    IQ2_XXS = 16, IQ2_XS = 17, IQ3_XXS = 18, IQ1_S = 19, IQ4_NL = 20, IQ3_S = 21, IQ2_S = 22, IQ4_XS = 23,
    I8 = 24, I16 = 25, I32 = 26, I64 = 27, F64 = 28, IQ1_M = 29, BF16 = 30,
    TQ1_0 = 34, TQ2_0 = 35, MXFP4 = 39, NVFP4 = 40, Q1_0 = 41, Q2_0 = 42,
}

public static class GgufTypes
{
    /// <summary>Elements and bytes of one block; (0, 0) for a type that does not exist.</summary>
    public static (int Elements, int Bytes) Block(this GgufType type) => type switch
    {
        GgufType.F32 or GgufType.I32 => (1, 4),
        GgufType.F16 or GgufType.BF16 or GgufType.I16 => (1, 2),
        GgufType.F64 or GgufType.I64 => (1, 8),
        GgufType.I8 => (1, 1),
        GgufType.Q4_0 or GgufType.IQ4_NL => (32, 18),
        GgufType.Q4_1 => (32, 20),
        GgufType.Q5_0 => (32, 22),
        GgufType.Q5_1 => (32, 24),
        GgufType.Q8_0 => (32, 34),
        GgufType.Q8_1 => (32, 36),
        GgufType.Q2_K => (256, 84),
        GgufType.Q3_K => (256, 110),
        GgufType.Q4_K => (256, 144),
        GgufType.Q5_K => (256, 176),
        GgufType.Q6_K => (256, 210),
        GgufType.Q8_K => (256, 292),
        GgufType.IQ1_S => (256, 50),
        GgufType.IQ1_M => (256, 56),
        GgufType.IQ2_XXS or GgufType.TQ2_0 => (256, 66),
        GgufType.IQ2_XS => (256, 74),
        GgufType.IQ2_S => (256, 82),
        GgufType.IQ3_XXS => (256, 98),
        GgufType.IQ3_S => (256, 110),
        GgufType.IQ4_XS => (256, 136),
        GgufType.TQ1_0 => (256, 54),
        GgufType.MXFP4 => (32, 17),
        GgufType.NVFP4 => (64, 36),
        GgufType.Q1_0 => (128, 18),
        GgufType.Q2_0 => (64, 18),
        _ => (0, 0),
    };

    /// <summary>Types that hold weights of a matrix. The integers, doubles and the intermediate Q8_1 and Q8_K are none.</summary>
    public static bool IsWeight(this GgufType type) =>
        type is not (GgufType.I8 or GgufType.I16 or GgufType.I32 or GgufType.I64 or GgufType.F64 or GgufType.Q8_1 or GgufType.Q8_K);

    /// <summary>Types that <see cref="GgufFile.ReadFloats"/> can expand.</summary>
    public static bool CanExpand(this GgufType type) => type is GgufType.F32 or GgufType.F16 or GgufType.BF16 or GgufType.Q8_0
        or GgufType.Q4_0 or GgufType.Q4_1 or GgufType.Q5_0 or GgufType.Q5_1 or GgufType.Q4_K or GgufType.Q5_K or GgufType.Q6_K;
}

/// <summary>Type of a metadata value.</summary>
public enum GgufValueType : uint
{
    UInt8 = 0, Int8 = 1, UInt16 = 2, Int16 = 3, UInt32 = 4, Int32 = 5, Float32 = 6, Bool = 7, String = 8, Array = 9, UInt64 = 10, Int64 = 11, Float64 = 12,
}

public static class GgufValueTypes
{
    /// <summary>Bytes of a scalar; 0 for strings, arrays and unknown types.</summary>
    public static int Size(this GgufValueType type) => type switch
    {
        GgufValueType.UInt8 or GgufValueType.Int8 or GgufValueType.Bool => 1,
        GgufValueType.UInt16 or GgufValueType.Int16 => 2,
        GgufValueType.UInt32 or GgufValueType.Int32 or GgufValueType.Float32 => 4,
        GgufValueType.UInt64 or GgufValueType.Int64 or GgufValueType.Float64 => 8,
        _ => 0,
    };
}
