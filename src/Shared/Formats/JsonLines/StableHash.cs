using System.Buffers.Binary;
using System.Numerics;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// A 64-bit hash that is the same in every process and version, since data sets are split by it: eight bytes at a time,
/// multiplied and folded (the finisher is splitmix64's). Good enough to tell rows apart; no defence against someone who wants collisions.
/// </summary>
internal static class StableHash
{
    public const ulong Null = 0x6E756C6C, True = 0x74727565, False = 0x66616C73;

    public static ulong Of(ReadOnlySpan<byte> bytes, ulong seed = 0)
    {
        var hash = Mix(seed ^ (ulong)bytes.Length);
        for (; bytes.Length >= 8; bytes = bytes[8..]) hash = Fold(hash, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        if (bytes.IsEmpty) return Mix(hash);
        Span<byte> last = stackalloc byte[8];
        last.Clear();
        bytes.CopyTo(last);
        return Mix(Fold(hash, BinaryPrimitives.ReadUInt64LittleEndian(last)));
    }

    /// <summary>Order counts.</summary>
    public static ulong Fold(ulong hash, ulong value) => BitOperations.RotateLeft((hash ^ value) * 0x9E3779B97F4A7C15UL, 29) + value;

    public static ulong Mix(ulong z)
    {
        z += 0x9E3779B97F4A7C15UL;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        return z ^ (z >> 31);
    }
}
