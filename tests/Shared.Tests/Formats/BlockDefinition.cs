using System.Buffers.Binary;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.Tests.Formats;

/// <summary>The block types spelled out element by element: slow, and plainly what the format says.</summary>
internal static class BlockDefinition
{
    public static float[] Decode(GgufType type, byte[] bytes)
    {
        var (elements, size) = type.Block();
        return [.. bytes.Chunk(size).SelectMany(block => Enumerable.Range(0, elements).Select(i => Element(type, block, i)))];
    }

    private static float Element(GgufType type, byte[] b, int i) => type switch
    {
        GgufType.F16 => Half(b, 0),
        GgufType.BF16 => BitConverter.Int32BitsToSingle(BitConverter.ToUInt16(b) << 16),
        GgufType.Q8_0 => Half(b, 0) * (sbyte)b[2 + i],
        GgufType.Q4_0 => Half(b, 0) * (Nibble(b, 2, i, 16) - 8),
        GgufType.Q4_1 => Half(b, 0) * Nibble(b, 4, i, 16) + Half(b, 2),
        GgufType.Q5_0 => Half(b, 0) * ((Nibble(b, 6, i, 16) | Bit(b, 2, i) << 4) - 16),
        GgufType.Q5_1 => Half(b, 0) * (Nibble(b, 8, i, 16) | Bit(b, 4, i) << 4) + Half(b, 2),
        GgufType.Q4_K => K(b, i, Nibble(b, 16 + i / 64 * 32, i % 64, 32)),
        GgufType.Q5_K => K(b, i, Nibble(b, 48 + i / 64 * 32, i % 64, 32) | (b[16 + i % 32] >> i / 32 & 1) << 4),
        GgufType.Q6_K => Half(b, 208) * (sbyte)b[192 + i / 16]
            * ((Nibble(b, i / 128 * 64, i % 128, 64) | (b[128 + i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32) & 3) << 4) - 32),
        _ => throw new ArgumentOutOfRangeException(nameof(type)),
    };

    private static float K(byte[] b, int i, int q)
    {
        var j = i / 32;
        var s = b.AsSpan(4, 12);
        var scale = j < 4 ? s[j] & 63 : s[j + 4] & 15 | s[j - 4] >> 6 << 4;
        var minimum = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
        return Half(b, 0) * scale * q - Half(b, 2) * minimum;
    }

    /// <summary>Element i of a run of bytes whose low nibbles come first, then the high ones.</summary>
    private static int Nibble(byte[] b, int start, int i, int run) => i < run ? b[start + i] & 15 : b[start + i - run] >> 4;

    private static int Bit(byte[] b, int start, int i) => (int)(BinaryPrimitives.ReadUInt32LittleEndian(b.AsSpan(start)) >> i & 1);

    private static float Half(byte[] b, int at) => (float)BinaryPrimitives.ReadHalfLittleEndian(b.AsSpan(at));
}
