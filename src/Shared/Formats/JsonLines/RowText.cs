using System.Buffers;
using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>The text of a row, message after message, and the hashes by which rows of different files are compared.</summary>
internal sealed class RowText
{
    private readonly ArrayBufferWriter<char> _text = new(1024);
    private ulong _loose, _prompt;

    public ReadOnlySpan<char> All => _text.WrittenSpan;
    public int Length => _text.WrittenCount;

    public RowKeys Keys(ulong row) => new(row, _loose, _prompt);

    public void Clear()
    {
        _text.ResetWrittenCount();
        (_loose, _prompt) = (0, 0);
    }

    public ReadOnlySpan<char> From(int start) => _text.WrittenSpan[start..];

    public void Append(JsonElement text) => text.AppendTo(_text);

    public void Append(ReadOnlySpan<char> text) => _text.Write(text);

    /// <summary>What stood before now is what the next message answers.</summary>
    public void EndPrompt() => _prompt = _loose;

    /// <summary>Takes the text since <paramref name="start"/> into the hash that white space does not change.</summary>
    public void EndMessage(string? role, int start)
    {
        var hash = StableHash.Fold(_loose, RoleNumber(role));
        foreach (var c in From(start))
            if (!char.IsWhiteSpace(c)) hash = StableHash.Fold(hash, c);
        _loose = StableHash.Mix(hash);
    }

    private static ulong RoleNumber(string? role) => role switch { "system" => 1, "user" => 2, "assistant" => 3, "tool" => 4, _ => 0 };
}
