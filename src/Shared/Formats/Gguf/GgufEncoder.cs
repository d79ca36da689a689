using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats.Gguf;

/// <summary>Stores float32 values as F32, F16, BF16 or Q8_0, rounded to nearest.</summary>
public static class GgufEncoder
{
    public static bool CanEncode(GgufType type) => type is GgufType.F32 or GgufType.F16 or GgufType.BF16 or GgufType.Q8_0;

    /// <exception cref="RefusedException">A value is beyond the range of F16 (or of the F16 scale of a block), or not finite.</exception>
    public static void Encode(GgufType type, ReadOnlySpan<float> values, Span<byte> target)
    {
        switch (type)
        {
            case GgufType.F32: MemoryMarshal.AsBytes(values).CopyTo(target); break;
            case GgufType.F16: EncodeHalf(values, MemoryMarshal.Cast<byte, Half>(target)); break;
            case GgufType.BF16: EncodeBFloat16(values, MemoryMarshal.Cast<byte, ushort>(target)); break;
            case GgufType.Q8_0: EncodeQ8(values, target); break;
            default: throw new ArgumentOutOfRangeException(nameof(type), type, "no encoder");
        }
    }

    private static void EncodeHalf(ReadOnlySpan<float> values, Span<Half> target)
    {
        TensorPrimitives.ConvertToHalf(values, target);
        if (values.Length > 0 && !(LargestMagnitude(values) < 65520f)) throw OutOfRange("F16");
    }

    private static void EncodeBFloat16(ReadOnlySpan<float> values, Span<ushort> target)
    {
        for (var i = 0; i < values.Length; i++)
        {
            var bits = BitConverter.SingleToUInt32Bits(values[i]);
            target[i] = float.IsNaN(values[i]) ? (ushort)(bits >> 16 | 64) : (ushort)(bits + 0x7FFF + (bits >> 16 & 1) >> 16);
        }
    }

    // A block: the scale d = largest magnitude / 127 in F16, then 32 signed bytes x / d.
    private static void EncodeQ8(ReadOnlySpan<float> values, Span<byte> target)
    {
        for (; values.Length > 0; values = values[32..], target = target[34..])
        {
            var block = values[..32];
            var scale = LargestMagnitude(block) / 127f;
            if (!(scale < 65520f)) throw OutOfRange("Q8_0");
            BinaryPrimitives.WriteHalfLittleEndian(target, (Half)scale);
            var inverse = scale == 0 ? 0 : 1 / scale;
            for (var i = 0; i < 32; i++) target[2 + i] = (byte)(sbyte)MathF.Round(block[i] * inverse, MidpointRounding.AwayFromZero);
        }
    }

    private static float LargestMagnitude(ReadOnlySpan<float> values) => MathF.Abs(TensorPrimitives.MaxMagnitude(values));

    private static RefusedException OutOfRange(string type) =>
        new("value-out-of-range", $"a weight is not finite or too large for {type}", "export with --type BF16 or F32");
}
