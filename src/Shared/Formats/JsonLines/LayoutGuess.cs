using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Tells from the beginning of a file how its records follow each other.</summary>
internal static class LayoutGuess
{
    /// <param name="head">The first bytes; <paramref name="complete"/> if there are no more.</param>
    public static RecordLayout Of(ReadOnlySpan<byte> head, bool complete)
    {
        var start = head.IndexOfAnyExcept(" \t\r\n"u8);
        if (start < 0) return RecordLayout.Lines;
        head = head[start..];
        if (head[0] == '[') return ArrayEndsBeforeMore(head) ? RecordLayout.Lines : RecordLayout.Array;
        if (head[0] != '{') return RecordLayout.Lines;
        var end = head.IndexOfAny((byte)'\n', (byte)'\r');
        if (end < 0) return RecordLayout.Lines;
        var following = head[end..].TrimStart(" \t\r\n"u8);
        var lineStandsOpen = IsBeginning(head[..end]) && !following.IsEmpty && following[0] is not ((byte)'{' or (byte)'[');
        return lineStandsOpen && (complete || !following.IsEmpty) ? RecordLayout.Objects : RecordLayout.Lines;
    }

    /// <summary>True if the first array closes and something else follows it: then it is a row among rows.</summary>
    private static bool ArrayEndsBeforeMore(ReadOnlySpan<byte> head)
    {
        int depth = 0;
        bool inString = false, escaped = false;
        for (var at = 0; at < head.Length; at++)
        {
            var b = head[at];
            if (escaped) escaped = false;
            else if (inString && b == '\\') escaped = true;
            else if (b == '"') inString = !inString;
            else if (!inString && b is (byte)'[' or (byte)'{') depth++;
            else if (!inString && b is (byte)']' or (byte)'}' && --depth == 0) return head[(at + 1)..].IndexOfAnyExcept(" \t\r\n"u8) >= 0;
        }
        return false;
    }

    /// <summary>True if the line is good JSON that only lacks its end.</summary>
    private static bool IsBeginning(ReadOnlySpan<byte> line)
    {
        var reader = new Utf8JsonReader(line, isFinalBlock: false, state: default);
        try
        {
            while (reader.Read()) { }
            return reader.CurrentDepth > 0 || reader.TokenType == JsonTokenType.StartObject;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
