using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Small readings of a <see cref="JsonElement"/> that make no string.</summary>
internal static class JsonText
{
    /// <summary>Appends the text of a JSON string.</summary>
    public static void AppendTo(this JsonElement text, ArrayBufferWriter<char> target)
    {
        var raw = JsonMarshal.GetRawUtf8Value(text)[1..^1];
        if (raw.Contains((byte)'\\'))
        {
            target.Write(text.GetString());
            return;
        }
        var span = target.GetSpan(raw.Length);
        target.Advance(Encoding.UTF8.GetChars(raw, span));
    }

    /// <summary>True for an empty string and for nothing but white space, whatever its alphabet.</summary>
    public static bool IsBlank(this JsonElement text)
    {
        var raw = JsonMarshal.GetRawUtf8Value(text)[1..^1];
        if (raw.IsEmpty) return true;
        return raw[0] is not (> (byte)' ' and < 0x80 and not (byte)'\\') && string.IsNullOrWhiteSpace(text.GetString());
    }

    /// <summary>"a string", "a number" …, for messages.</summary>
    public static string Kind(this JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        _ => "null",
    };

    public static JsonElement? Property(this JsonElement value, ReadOnlySpan<byte> name) =>
        value.ValueKind == JsonValueKind.Object && value.TryGetProperty(name, out var found) ? found : null;

    /// <summary>A property that is there and not null: null in an optional field is the same as leaving it out.</summary>
    public static JsonElement? Given(this JsonElement value, ReadOnlySpan<byte> name) =>
        value.Property(name) is { ValueKind: not JsonValueKind.Null } found ? found : null;
}
