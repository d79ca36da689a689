using System.Buffers;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json;

namespace TokenMill.Testing;

/// <summary>
/// Makes the inputs that are too big to store, from the <c>generate</c> part of an entry of the manifest:
/// parts of text or bytes, repeated and nested; <c>{i}</c> counts the numbered pieces written before, <c>{i8}</c> is the same
/// in eight digits, <c>{x}</c> sixteen hex digits of splitmix64 over a counter of its own. Optionally gzipped, the same member n times.
/// </summary>
public sealed class GeneratedInput(JsonElement generate)
{
    private const int ChunkBytes = 1 << 20;
    private long _pieces, _randoms;

    /// <summary>Writes the input to a file below <paramref name="folder"/> and returns its path.</summary>
    public string WriteTo(string folder, string name)
    {
        var path = Path.Combine(folder, Path.GetFileName(name));
        using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, ChunkBytes);
        Write(file);
        return path;
    }

    public void Write(Stream output)
    {
        (_pieces, _randoms) = (0, 0);
        if (!generate.TryGetProperty("gzip", out var gzip))
        {
            WriteParts(generate.GetProperty("parts"), output);
            return;
        }
        using var member = new MemoryStream();
        using (var compressed = new GZipStream(member, CompressionLevel.Fastest, leaveOpen: true)) WriteParts(generate.GetProperty("parts"), compressed);
        for (var n = gzip.GetProperty("members").GetInt32(); n > 0; n--) member.WriteTo(output);
    }

    private void WriteParts(JsonElement parts, Stream output)
    {
        foreach (var part in parts.EnumerateArray())
        {
            var repeat = part.TryGetProperty("repeat", out var r) ? r.GetInt64() : 1;
            if (part.TryGetProperty("parts", out var inner))
                for (; repeat > 0; repeat--) WriteParts(inner, output);
            else if (part.TryGetProperty("hex", out var hex))
                WriteRepeated(Convert.FromHexString(hex.GetString()!), repeat, output);
            else
                WriteText(part.GetProperty("text").GetString()!, repeat, output);
        }
    }

    private void WriteText(string text, long repeat, Stream output)
    {
        if (!text.Contains("{i}", StringComparison.Ordinal) && !text.Contains("{i8}", StringComparison.Ordinal) && !text.Contains("{x}", StringComparison.Ordinal))
        {
            WriteRepeated(Encoding.UTF8.GetBytes(text), repeat, output);
            return;
        }
        for (; repeat > 0; repeat--) output.Write(Encoding.UTF8.GetBytes(Numbered(text)));
    }

    private string Numbered(string text)
    {
        var piece = _pieces++;
        var filled = new StringBuilder(text.Length + 32);
        for (var at = 0; at < text.Length;)
        {
            var rest = text.AsSpan(at);
            var (value, length) = rest switch
            {
                _ when rest.StartsWith("{i}") => (piece.ToString(CultureInfo.InvariantCulture), 3),
                _ when rest.StartsWith("{i8}") => (piece.ToString("D8", CultureInfo.InvariantCulture), 4),
                _ when rest.StartsWith("{x}") => (SplitMix64((ulong)_randoms++).ToString("x16", CultureInfo.InvariantCulture), 3),
                _ => (rest[..1].ToString(), 1),
            };
            filled.Append(value);
            at += length;
        }
        return filled.ToString();
    }

    private static void WriteRepeated(ReadOnlySpan<byte> unit, long repeat, Stream output)
    {
        var perChunk = (int)Math.Clamp(ChunkBytes / Math.Max(1, unit.Length), 1, Math.Max(1, repeat));
        var chunk = ArrayPool<byte>.Shared.Rent(perChunk * unit.Length);
        for (var n = 0; n < perChunk; n++) unit.CopyTo(chunk.AsSpan(n * unit.Length));
        for (; repeat > 0; repeat -= perChunk) output.Write(chunk, 0, (int)Math.Min(perChunk, repeat) * unit.Length);
        ArrayPool<byte>.Shared.Return(chunk);
    }

    private static ulong SplitMix64(ulong counter)
    {
        var z = unchecked((counter + 1) * 0x9E3779B97F4A7C15UL);
        z = unchecked((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL);
        z = unchecked((z ^ (z >> 27)) * 0x94D049BB133111EBUL);
        return z ^ (z >> 31);
    }
}
