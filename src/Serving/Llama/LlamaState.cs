using System.Buffers.Binary;

namespace TokenMill.Serving.Llama;

/// <summary>
/// The head of what llama.cpp v0.5.0 saves of a sequence in its one cache (models with a sliding window have two, and their sequences are not moved): a mark, the sequence's id, streams, cells, and of each cell position and sequence ids. It is checked before the
/// library reads it, which finds and takes room by these numbers; the tensors after it are checked there, by type and size.
/// </summary>
internal static class LlamaState
{
    private const int Mark = unchecked((int)0xAF143CD8);

    public static bool IsOf(int tokens, ReadOnlySpan<byte> state)
    {
        if (Next(ref state) != Mark || Next(ref state) is null || Next(ref state) != 1 || Next(ref state) != tokens) return false;
        var seen = new bool[tokens];
        for (var cell = 0; cell < tokens; cell++)
        {
            if (Next(ref state) is not { } position || (uint)position >= (uint)tokens || seen[position]) return false;
            seen[position] = true;
            if (Next(ref state) != 1 || Next(ref state) is null) return false;   // one sequence id, which is replaced
        }
        return true;
    }

    private static int? Next(ref ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < sizeof(int)) return null;
        var value = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        bytes = bytes[sizeof(int)..];
        return value;
    }
}
