using System.Text;
using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Says in a person's words what is wrong with a record that is no JSON, and what to do.</summary>
internal static class JsonMistake
{
    public static string Describe(ReadOnlySpan<byte> record, JsonException mistake, bool valueComplete)
    {
        var at = Math.Min(Offset(record, mistake), record.Length);
        var rest = record[at..];
        var before = record[..at].TrimEnd(" \t\r\n"u8);
        var where = $"column {Encoding.UTF8.GetCharCount(record[..at]) + 1}";
        if (rest.TrimStart(" \t\r\n"u8).IsEmpty) return $"{where}: the line ends inside the JSON value; the row was cut short, write it again in full";
        if (rest[0] < 0x20) return $"{where}: unescaped control character U+{(int)rest[0]:X4}; write it as \\u{(int)rest[0]:x4}";
        if (at > 0 && record[at - 1] == '\\') return $"{where}: \\{Shown(rest)} is no JSON escape; write a backslash as \\\\";
        if (rest[0] is (byte)'/' or (byte)'#') return $"{where}: comments are not JSON; remove them";
        if (valueComplete) return $"{where}: more than one JSON value on the line; write one row per line";
        if (StartsWith(rest, "NaN") || StartsWith(rest, "nan")) return $"{where}: NaN is not a JSON number; use null or leave it out";
        if (StartsWith(rest, "Infinity") || StartsWith(rest, "-Infinity")) return $"{where}: Infinity is not a JSON number; use null or leave it out";
        if (StartsWith(rest, "None") || StartsWith(rest, "True") || StartsWith(rest, "False")) return $"{where}: None, True and False are Python; JSON has null, true and false: write rows with json.dumps";
        if (StartsWith(rest, "undefined")) return $"{where}: undefined is not JSON; use null or leave it out";
        if (rest[0] == '\'') return $"{where}: single quotes: this is a printed Python object; write it with json.dumps";
        if (StartsWith(rest, "“") || StartsWith(rest, "”") || StartsWith(rest, "‘") || StartsWith(rest, "’")) return $"{where}: typographic quotes; JSON has the straight \"";
        if (rest[0] is (byte)']' or (byte)'}' && before is [.., (byte)',']) return $"{where}: a comma before {(char)rest[0]}; remove it";
        return at == 0
            ? "not JSON; each row is one JSON object on a line of its own"
            : $"{where}: not JSON, '{Shown(rest)}' cannot stand here; write rows with a JSON library";
    }

    /// <summary>Levels of brackets outside strings.</summary>
    public static int Depth(ReadOnlySpan<byte> record)
    {
        int depth = 0, deepest = 0;
        bool inString = false, escaped = false;
        foreach (var b in record)
        {
            if (escaped) escaped = false;
            else if (inString && b == '\\') escaped = true;
            else if (b == '"') inString = !inString;
            else if (!inString && b is (byte)'[' or (byte)'{') deepest = Math.Max(deepest, ++depth);
            else if (!inString && b is (byte)']' or (byte)'}') depth--;
        }
        return deepest;
    }

    private static int Offset(ReadOnlySpan<byte> record, JsonException mistake)
    {
        var start = 0;
        for (var line = mistake.LineNumber ?? 0; line > 0; line--) start += record[start..].IndexOf((byte)'\n') + 1;
        return start + (int)(mistake.BytePositionInLine ?? 0);
    }

    private static bool StartsWith(ReadOnlySpan<byte> text, string word)
    {
        Span<byte> utf8 = stackalloc byte[32];
        return text.StartsWith(utf8[..Encoding.UTF8.GetBytes(word, utf8)]);
    }

    private static string Shown(ReadOnlySpan<byte> rest)
    {
        Rune.DecodeFromUtf8(rest, out var rune, out _);
        return rune.ToString();
    }
}
