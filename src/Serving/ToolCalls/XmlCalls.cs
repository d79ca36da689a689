using System.Text.Json;
using System.Text.Json.Nodes;

namespace TokenMill.Serving.ToolCalls;

/// <summary>Calls as <see cref="XmlMarks"/> say. White space around the marks may differ, since models are free with it.</summary>
internal static class XmlCalls
{
    /// <param name="call">What stands between the marks of a call.</param>
    /// <param name="parametersOf">The schema of a function's parameters: it decides whether a value is a text as it stands or JSON.</param>
    /// <returns>Null if it is no whole call.</returns>
    public static (string Name, JsonObject Arguments)? TryRead(string call, XmlMarks marks, Func<string, JsonObject?> parametersOf)
    {
        var (keyStart, valueEnd, nameStart, callEnd) = (marks.KeyStart, marks.ValueEnd.Trim(), marks.NameStart.Trim(), marks.CallEnd.Trim());
        var text = call.Trim();
        if (!text.StartsWith(nameStart, StringComparison.Ordinal) || !text.EndsWith(callEnd, StringComparison.Ordinal)) return null;
        text = text[nameStart.Length..^callEnd.Length];
        var at = NextOf(text, 0, marks.NameEnd.Trim(), keyStart);
        var name = text[..at].Trim();
        if (marks.NameEnd.Trim() is { Length: > 0 } nameEnd)
        {
            if (!text.AsSpan(at).StartsWith(nameEnd, StringComparison.Ordinal)) return null;
            at += nameEnd.Length;
        }
        var arguments = new JsonObject();
        var properties = parametersOf(name)?["properties"] as JsonObject;
        while (SkipSpace(text, at) is var next && next < text.Length)
        {
            if (!text.AsSpan(next).StartsWith(keyStart, StringComparison.Ordinal)) return null;
            next += keyStart.Length;
            var parts = marks.KeyEnd.Split('\n');              // the key's mark, and maybe the value's on the next line
            var keyEnd = text.IndexOf(parts[0], next, StringComparison.Ordinal);
            if (keyEnd < 0) return null;
            var key = text[next..keyEnd].Trim();
            at = keyEnd + parts[0].Length;
            if (parts[1].Length > 0)
            {
                at = SkipSpace(text, at);
                if (!text.AsSpan(at).StartsWith(parts[1], StringComparison.Ordinal)) return null;
                at += parts[1].Length;
            }
            var end = text.IndexOf(valueEnd, at, StringComparison.Ordinal);
            if (end < 0) return null;
            var value = text[at..end];
            if (marks.ValueEnd[0] == '\n')                     // texts stand on lines of their own
            {
                if (value.StartsWith('\n')) value = value[1..];
                if (value.EndsWith('\n')) value = value[..^1];
            }
            arguments[key] = Value(value, properties?[key]);
            at = end + valueEnd.Length;
        }
        return (name, arguments);
    }

    public static bool IsText(JsonNode? schema) => (schema as JsonObject)?["type"] switch
    {
        JsonValue type => type.ToString() == "string",
        JsonArray types => types.Any(t => t?.ToString() == "string"),
        _ => false,
    };

    private static JsonNode? Value(string value, JsonNode? schema)
    {
        if (IsText(schema)) return value;
        try
        {
            return JsonNode.Parse(value);
        }
        catch (JsonException)
        {
            return value;                                      // a text whose parameter says nothing of its type
        }
    }

    private static int NextOf(string text, int from, params string[] marks) =>
        marks.Where(m => m.Length > 0).Select(m => text.IndexOf(m, from, StringComparison.Ordinal)).Where(i => i >= 0).DefaultIfEmpty(text.Length).Min();

    private static int SkipSpace(string text, int at)
    {
        while (at < text.Length && char.IsWhiteSpace(text[at])) at++;
        return at;
    }
}
