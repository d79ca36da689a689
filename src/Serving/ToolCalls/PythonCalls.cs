using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace TokenMill.Serving.ToolCalls;

/// <summary>Reads calls as Python writes them: [name(argument="…", other=[1, True, None]), second()].</summary>
internal sealed class PythonCalls
{
    private const int MaxDepth = 64;

    private readonly string _text;
    private int _at, _depth;

    private PythonCalls(string text) => _text = text;

    /// <summary>Null where the text is something else.</summary>
    public static IReadOnlyList<(string Name, JsonObject Arguments)>? TryRead(string text)
    {
        var reader = new PythonCalls(text.Trim());
        try
        {
            var calls = reader.Calls();
            return reader._at == reader._text.Length ? calls : null;
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private List<(string Name, JsonObject Arguments)> Calls()
    {
        var calls = new List<(string, JsonObject)>();
        Expect('[');
        do calls.Add((Name(), Arguments()));
        while (Take(','));
        Expect(']');
        return calls;
    }

    private JsonObject Arguments()
    {
        var arguments = new JsonObject();
        Expect('(');
        while (!Take(')'))
        {
            if (arguments.Count > 0) Expect(',');
            var name = Name();
            Expect('=');
            arguments[name] = Value();
        }
        return arguments;
    }

    private JsonNode? Value()
    {
        if (++_depth > MaxDepth) throw new FormatException();
        SkipSpace();
        JsonNode? value = Peek switch
        {
            '"' or '\'' => JsonValue.Create(Text()),
            '[' => List('[', ']'),
            '(' => List('(', ')'),
            '{' => Map(),
            '-' or '+' or (>= '0' and <= '9') or '.' => Number(),
            _ => Word(),
        };
        _depth--;
        return value;
    }

    private JsonArray List(char open, char close)
    {
        var list = new JsonArray();
        Expect(open);
        while (!Take(close))
        {
            list.Add(Value());
            if (!Take(',') && Peek != close) throw new FormatException();
        }
        return list;
    }

    private JsonObject Map()
    {
        var map = new JsonObject();
        Expect('{');
        while (!Take('}'))
        {
            SkipSpace();
            var key = Text();
            Expect(':');
            map[key] = Value();
            if (!Take(',') && Peek != '}') throw new FormatException();
        }
        return map;
    }

    private JsonValue? Word() => Name() switch { "True" or "true" => JsonValue.Create(true), "False" or "false" => JsonValue.Create(false), "None" or "null" => null, _ => throw new FormatException() };

    private JsonValue Number()
    {
        var from = _at;
        while (char.IsAsciiLetterOrDigit(Peek) || Peek is '+' or '-' or '.') _at++;
        var text = _text.AsSpan(from, _at - from);
        return long.TryParse(text, CultureInfo.InvariantCulture, out var whole) ? JsonValue.Create(whole)
            : double.TryParse(text, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? JsonValue.Create(number)
            : throw new FormatException();
    }

    private string Text()
    {
        var quote = Peek is '"' or '\'' ? Peek : throw new FormatException();
        _at++;
        var text = new StringBuilder();
        while (Peek != quote)
        {
            if (_at >= _text.Length) throw new FormatException();
            var c = _text[_at++];
            text.Append(c != '\\' ? c : Peek switch { 'n' => '\n', 't' => '\t', 'r' => '\r', '\0' => throw new FormatException(), var other => other });
            if (c == '\\') _at++;
        }
        _at++;
        return text.ToString();
    }

    private string Name()
    {
        SkipSpace();
        var from = _at;
        while (char.IsLetterOrDigit(Peek) || Peek is '_' or '-' or '.') _at++;
        return _at > from ? _text[from.._at] : throw new FormatException();
    }

    private char Peek => _at < _text.Length ? _text[_at] : '\0';

    private bool Take(char c)
    {
        SkipSpace();
        if (Peek != c) return false;
        _at++;
        return true;
    }

    private void Expect(char c)
    {
        if (!Take(c)) throw new FormatException();
    }

    private void SkipSpace()
    {
        while (char.IsWhiteSpace(Peek)) _at++;
    }
}
