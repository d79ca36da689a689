using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.Json;
using TokenMill.Shared;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Host;

/// <summary>
/// A conversation's keys and values on their way to another process. As bytes: a mark with the version, the length of the head, the head as
/// JSON, the runner's state, and SHA-256 of all before it. All of it is checked before a runner sees the state.
/// </summary>
internal sealed record SavedSequence(SavedSequence.Head About, byte[] State)
{
    /// <param name="ModelSha256">Of the model's file.</param>
    /// <param name="StateFormat">What the runner says of itself.</param>
    /// <param name="AdapterSha256">Of the adapter's file as GGUF; null for the base.</param>
    public sealed record Head(string ModelSha256, string StateFormat, string? Adapter, string? AdapterSha256, int[] Tokens, int StateBytes);

    public const string ContentType = "application/octet-stream";
    public const int MaxBytes = 1 << 30, MaxStateBytes = MaxBytes - HeadOffset - MaxHeadBytes - SHA256.HashSizeInBytes;
    private const byte Version = 1;
    private const int MaxHeadBytes = 16 << 20, HeadOffset = 12;

    private static ReadOnlySpan<byte> Mark => "TMSTATE"u8;

    public byte[] ToBytes()
    {
        var head = JsonSerializer.SerializeToUtf8Bytes(About, Json.Options);
        var bytes = new byte[HeadOffset + head.Length + State.Length + SHA256.HashSizeInBytes];
        Mark.CopyTo(bytes);
        bytes[Mark.Length] = Version;
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(Mark.Length + 1), head.Length);
        head.CopyTo(bytes, HeadOffset);
        State.CopyTo(bytes, HeadOffset + head.Length);
        SHA256.HashData(bytes.AsSpan(..^SHA256.HashSizeInBytes), bytes.AsSpan(^SHA256.HashSizeInBytes..));
        return bytes;
    }

    /// <exception cref="RefusedException">state-damaged, state-version.</exception>
    public static SavedSequence Parse(ReadOnlySpan<byte> bytes, int vocabularySize)
    {
        if (bytes.Length < HeadOffset + SHA256.HashSizeInBytes || !bytes.StartsWith(Mark)) throw Damaged($"its {bytes.Length} bytes do not begin like one");
        if (bytes[Mark.Length] != Version) throw new RefusedException("state-version", $"the state has version {bytes[Mark.Length]}, this server reads {Version}", "save and restore with servers of the same version");
        var body = bytes[..^SHA256.HashSizeInBytes];
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(body, hash);
        if (!hash.SequenceEqual(bytes[^SHA256.HashSizeInBytes..])) throw Damaged("its checksum is another one: bytes are missing or changed");
        var headBytes = BinaryPrimitives.ReadInt32LittleEndian(body[(Mark.Length + 1)..]);
        if (headBytes is < 2 or > MaxHeadBytes || headBytes > body.Length - HeadOffset) throw Damaged($"a head of {headBytes} bytes makes no sense");
        var head = ReadHead(body.Slice(HeadOffset, headBytes));
        var state = body[(HeadOffset + headBytes)..];
        if (head.StateBytes != state.Length) throw Damaged($"it has {state.Length} bytes of state instead of {head.StateBytes}");
        if (head.Tokens is not { Length: > 0 } || Array.Exists(head.Tokens, t => (uint)t >= (uint)vocabularySize)) throw Damaged("its tokens are not of this model's vocabulary");
        return new SavedSequence(head, state.ToArray());
    }

    private static Head ReadHead(ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize<Head>(json, Json.Options) ?? throw Damaged("its head is empty");
        }
        catch (JsonException)
        {
            throw Damaged("its head is no JSON of this version");
        }
    }

    private static RefusedException Damaged(string why) => new("state-damaged", $"this is no whole saved state: {why}", "send exactly the bytes that POST /internal/state gave");
}
