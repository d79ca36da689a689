using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace TokenMill.Shared.Formats.Gguf;

/// <summary>
/// Expands blocks to float32. Every quantised type comes down to small integers q with a scale d (signed types) or with
/// scale and offset (d·q + m): the integers are unpacked into bytes, sixteen or thirty-two at a time, then widened and
/// scaled in vectors. Product and sum are rounded apart, as ggml's reference does. Layouts: ggml/src/ggml-common.h.
/// </summary>
public static class GgufDecoder
{
    public static void Decode(GgufType type, ReadOnlySpan<byte> source, Span<float> target)
    {
        switch (type)
        {
            case GgufType.F32: source.CopyTo(MemoryMarshal.AsBytes(target)); return;
            case GgufType.F16: TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(source), target); return;
            case GgufType.BF16: DecodeBFloat16(MemoryMarshal.Cast<byte, ushort>(source), target); return;
        }
        var (elements, bytes) = type.Block();
        for (; source.Length > 0; source = source[bytes..], target = target[elements..])
        {
            var block = source[..bytes];
            var values = target[..elements];
            switch (type)
            {
                case GgufType.Q8_0: Scale(MemoryMarshal.Cast<byte, sbyte>(block[2..]), Half16(block), values); break;
                case GgufType.Q4_0: DecodeQ4(block[2..], -8, Half16(block), values); break;
                case GgufType.Q4_1: DecodeQ4(block[4..], Half16(block), Half16(block[2..]), values); break;
                case GgufType.Q5_0: DecodeQ5(block[6..], block[2..], -16, Half16(block), values); break;
                case GgufType.Q5_1: DecodeQ5(block[8..], block[4..], Half16(block), Half16(block[2..]), values); break;
                case GgufType.Q4_K: DecodeQ45K(block, default, block[16..], values); break;
                case GgufType.Q5_K: DecodeQ45K(block, block.Slice(16, 32), block[48..], values); break;
                case GgufType.Q6_K: DecodeQ6K(block, values); break;
                default: throw new ArgumentOutOfRangeException(nameof(type), type, "no decoder");
            }
        }
    }

    private static void DecodeBFloat16(ReadOnlySpan<ushort> source, Span<float> target)
    {
        var bits = MemoryMarshal.Cast<float, uint>(target);
        var i = 0;
        for (; i + Vector256<ushort>.Count <= source.Length; i += Vector256<ushort>.Count)
        {
            var (low, high) = Vector256.Widen(Vector256.Create(source[i..]));
            (low << 16).CopyTo(bits[i..]);
            (high << 16).CopyTo(bits[(i + 8)..]);
        }
        for (; i < source.Length; i++) bits[i] = (uint)source[i] << 16;
    }

    // Byte i holds element i in its low nibble and element i + 16 in its high one.
    private static void DecodeQ4(ReadOnlySpan<byte> nibbles, float scale, float offset, Span<float> values)
    {
        var packed = Vector128.Create(nibbles[..16]);
        Scale(packed & Vector128.Create((byte)0x0F), scale, offset, values);
        Scale(packed >>> 4, scale, offset, values[16..]);
    }

    private static void DecodeQ4(ReadOnlySpan<byte> nibbles, sbyte shift, float scale, Span<float> values)
    {
        var packed = Vector128.Create(nibbles[..16]);
        Scale((packed & Vector128.Create((byte)0x0F)).AsSByte() + Vector128.Create(shift), scale, values);
        Scale((packed >>> 4).AsSByte() + Vector128.Create(shift), scale, values[16..]);
    }

    private static void DecodeQ5(ReadOnlySpan<byte> nibbles, ReadOnlySpan<byte> highBits, sbyte shift, float scale, Span<float> values)
    {
        Span<byte> q = stackalloc byte[32];
        UnpackQ5(nibbles, highBits, q);
        Scale(Vector128.Create(q).AsSByte() + Vector128.Create(shift), scale, values);
        Scale(Vector128.Create(q[16..]).AsSByte() + Vector128.Create(shift), scale, values[16..]);
    }

    private static void DecodeQ5(ReadOnlySpan<byte> nibbles, ReadOnlySpan<byte> highBits, float scale, float offset, Span<float> values)
    {
        Span<byte> q = stackalloc byte[32];
        UnpackQ5(nibbles, highBits, q);
        Scale(Vector128.Create(q), scale, offset, values);
        Scale(Vector128.Create(q[16..]), scale, offset, values[16..]);
    }

    private static void UnpackQ5(ReadOnlySpan<byte> nibbles, ReadOnlySpan<byte> highBits, Span<byte> q)
    {
        var high = BinaryPrimitives.ReadUInt32LittleEndian(highBits);
        for (var i = 0; i < 16; i++)
        {
            q[i] = (byte)((uint)nibbles[i] & 0x0F | (high >> i & 1) << 4);
            q[i + 16] = (byte)((uint)nibbles[i] >> 4 | (high >> i + 16 & 1) << 4);
        }
    }

    /// <summary>
    /// Q4_K and Q5_K: eight sub-blocks of 32, each with a 6-bit scale and a 6-bit minimum. 32 bytes of nibbles hold two
    /// sub-blocks (low, then high); Q5_K adds bit j of the high-bit bytes to sub-block j.
    /// </summary>
    private static void DecodeQ45K(ReadOnlySpan<byte> block, ReadOnlySpan<byte> highBits, ReadOnlySpan<byte> nibbles, Span<float> values)
    {
        var scale = Half16(block);
        var minimum = Half16(block[2..]);
        var packed = block.Slice(4, 12);
        for (var j = 0; j < 8; j++)
        {
            var (s, m) = j < 4
                ? (packed[j] & 63, packed[j + 4] & 63)
                : (packed[j + 4] & 0x0F | packed[j - 4] >> 6 << 4, packed[j + 4] >> 4 | packed[j] >> 6 << 4);
            for (var half = 0; half < 32; half += 16)
            {
                var bytes = Vector128.Create(nibbles.Slice(j / 2 * 32 + half, 16));
                var q = (j & 1) == 0 ? bytes & Vector128.Create((byte)0x0F) : bytes >>> 4;
                if (!highBits.IsEmpty) q |= (Vector128.Create(highBits.Slice(half, 16)) >>> j & Vector128<byte>.One) << 4;
                Scale(q, scale * s, -(minimum * m), values[(j * 32 + half)..]);
            }
        }
    }

    /// <summary>Q6_K: two halves of 128 elements; in each, 64 bytes of low nibbles, 32 bytes with four pairs of high bits, and a scale for every 16 elements.</summary>
    private static void DecodeQ6K(ReadOnlySpan<byte> block, Span<float> values)
    {
        var d = Half16(block[208..]);
        var scales = MemoryMarshal.Cast<byte, sbyte>(block.Slice(192, 16));
        for (var group = 0; group < 16; group++)                // 16 elements each
        {
            var half = group / 8;
            var quarter = group / 2 % 4;                        // which 32 of the 128
            var at = group % 2 * 16;
            var low = Vector128.Create(block.Slice(half * 64 + quarter % 2 * 32 + at, 16));
            low = quarter < 2 ? low & Vector128.Create((byte)0x0F) : low >>> 4;
            var high = Vector128.Create(block.Slice(128 + half * 32 + at, 16)) >>> 2 * quarter & Vector128.Create((byte)3);
            Scale((low | high << 4).AsSByte() - Vector128.Create((sbyte)32), d * scales[group], values[(group * 16)..]);
        }
    }

    private static float Half16(ReadOnlySpan<byte> bytes) => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes);

    private static void Scale(ReadOnlySpan<sbyte> q, float scale, Span<float> values)
    {
        Scale(Vector128.Create(q), scale, values);
        Scale(Vector128.Create(q[16..]), scale, values[16..]);
    }

    private static void Scale(Vector128<sbyte> q, float scale, Span<float> values)
    {
        var factor = Vector256.Create(scale);
        var (low, high) = Vector256.Widen(Vector256.Widen(q.ToVector256()).Lower);
        (Vector256.ConvertToSingle(low) * factor).CopyTo(values);
        (Vector256.ConvertToSingle(high) * factor).CopyTo(values[8..]);
    }

    private static void Scale(Vector128<byte> q, float scale, float offset, Span<float> values)
    {
        var factor = Vector256.Create(scale);
        var addend = Vector256.Create(offset);
        var (low, high) = Vector256.Widen(Vector256.Widen(q.ToVector256()).Lower);
        (Vector256.ConvertToSingle(low.AsInt32()) * factor + addend).CopyTo(values);
        (Vector256.ConvertToSingle(high.AsInt32()) * factor + addend).CopyTo(values[8..]);
    }
}
