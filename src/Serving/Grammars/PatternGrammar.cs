using System.Globalization;
using System.Text;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Grammars;

/// <summary>
/// A regular expression of JSON Schema (ECMA-262) as a grammar of the text inside a JSON string. Literals, classes, groups, alternatives
/// and repetitions; anchors only at the ends. What must be escaped in JSON is written escaped.
/// </summary>
internal sealed class PatternGrammar
{
    private const int MaxDepth = 100, MaxLength = 10_000;
    private const string NotInJson = "\"\\\\\\x00-\\x1F\\x7F";

    private readonly string _pattern;
    private readonly string _path;
    private int _at, _depth;

    private PatternGrammar(string pattern, string path) => (_pattern, _path) = (pattern, path);

    public static string Write(string pattern, string path)
    {
        if (pattern.Length > MaxLength) throw new PatternGrammar(pattern, path).Refuse($"it has {pattern.Length:N0} characters");
        var (from, to) = (pattern.StartsWith('^'), pattern.EndsWith('$') && !EndsEscaped(pattern));
        var inner = new PatternGrammar(pattern[(from ? 1 : 0)..(to ? ^1 : ^0)], path);
        var body = inner.Alternatives();
        if (inner._at < inner._pattern.Length) throw inner.Refuse("a parenthesis closes nothing");
        // An anchor belongs to its alternative only.
        if ((from || to) && HasAlternatives(inner._pattern)) throw inner.Refuse("anchors beside alternatives: put the alternatives in parentheses");
        return $"{(from ? "" : "char* ")}({body}){(to ? "" : " char*")}";
    }

    private string Alternatives()
    {
        if (++_depth > MaxDepth) throw Refuse("it is nested too deep");
        var parts = new List<string> { Sequence() };
        while (Peek == '|')
        {
            _at++;
            parts.Add(Sequence());
        }
        _depth--;
        return string.Join(" | ", parts);
    }

    private string Sequence()
    {
        var text = new StringBuilder("\"\"");
        while (_at < _pattern.Length && Peek is not ('|' or ')')) text.Append(' ').Append(Atom()).Append(Repetition());
        return text.ToString();
    }

    private string Atom()
    {
        switch (Peek)
        {
            case '(':
                _at++;
                if (_pattern.AsSpan(_at).StartsWith("?:")) _at += 2;
                else if (Peek == '?') throw Refuse("looking ahead or behind, and named groups");
                var group = Alternatives();
                if (Peek != ')') throw Refuse("a parenthesis is not closed");
                _at++;
                return $"({group})";
            case '[':
                _at++;
                return Class();
            case '.':
                _at++;
                return "char";
            case '^' or '$':
                throw Refuse("an anchor in the middle");
            case '*' or '+' or '?' or '{':
                throw Refuse("a repetition of nothing");
            case '\\':
                return Escape() switch { (var set, true) => $"[{set}]", (var literal, _) => Literal(literal) };
            default:
                return Literal(Next());
        }
    }

    private string Repetition()
    {
        if (Peek is not ('*' or '+' or '?' or '{')) return "";
        var from = _at++;
        if (_pattern[from] == '{')
        {
            while (char.IsAsciiDigit(Peek) || Peek == ',') _at++;
            if (Peek != '}' || !char.IsAsciiDigit(_pattern[from + 1])) throw Refuse("a brace that is no repetition");
            _at++;
        }
        var repetition = _pattern[from.._at];
        if (Peek == '?') _at++;                                // which match is found first is no matter here
        return repetition;
    }

    private string Class()
    {
        var negated = Peek == '^';
        if (negated) _at++;
        var set = new StringBuilder();
        while (Peek != ']')
        {
            var (first, isSet) = Peek == '\\' ? Escape() : (Next(), false);
            set.Append(isSet ? first : Escaped(first));
            if (Peek != '-' || isSet || _at + 1 >= _pattern.Length || _pattern[_at + 1] == ']') continue;
            _at++;
            var (last, _) = Peek == '\\' ? Escape() : (Next(), false);
            set.Append('-').Append(Escaped(last));
        }
        _at++;
        if (negated) return $"[^{set}{NotInJson}]";
        return set.Length > 0 ? $"[{set}]" : throw Refuse("an empty class");
    }

    /// <summary>A set of characters in the notation of classes, or one literal character.</summary>
    private (string Text, bool IsSet) Escape()
    {
        _at++;
        var c = Next();
        return c switch
        {
            "d" => ("0-9", true),
            "w" => ("a-zA-Z0-9_", true),
            "s" => (" ", true),                                // line breaks and tabs would have to be escaped
            "u" => (Hexadecimal(4), false),
            "x" => (Hexadecimal(2), false),
            _ when char.IsAsciiLetterOrDigit(c[0]) => throw Refuse($"\\{c}"),
            _ => (c, false),
        };
    }

    private string Hexadecimal(int digits)
    {
        if (_at + digits > _pattern.Length || !int.TryParse(_pattern.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) || !Rune.IsValid(value)) throw Refuse("an escape that is no character");
        _at += digits;
        return char.ConvertFromUtf32(value);
    }

    /// <summary>One character of the pattern, a pair of surrogates included.</summary>
    private string Next()
    {
        if (_at >= _pattern.Length) throw Refuse("it is cut off");
        if (!Rune.TryGetRuneAt(_pattern, _at, out var rune)) throw Refuse("half a surrogate pair");
        _at += rune.Utf16SequenceLength;
        return rune.ToString();
    }

    private char Peek => _at < _pattern.Length ? _pattern[_at] : '\0';

    private static string Literal(string character) => GrammarRules.Literal(System.Text.Json.JsonSerializer.Serialize(character, Shared.Json.Options)[1..^1]);

    /// <exception cref="RefusedException">In a class stands a character that JSON escapes, so that it is not one character.</exception>
    private string Escaped(string character) => character is "\"" or "\\" || char.IsControl(character[0]) ? throw Refuse($"the character U+{(int)character[0]:X4} in a class") : character is "]" or "^" or "-" ? $"\\{character}" : character;

    private static bool EndsEscaped(string pattern) => (pattern.Length - 1 - pattern[..^1].TrimEnd('\\').Length) % 2 == 1;

    private static bool HasAlternatives(string pattern)
    {
        var (depth, inClass) = (0, false);
        for (var i = 0; i < pattern.Length; i++)
            switch (pattern[i])
            {
                case '\\': i++; break;
                case '[': inClass = true; break;
                case ']': inClass = false; break;
                case '(' when !inClass: depth++; break;
                case ')' when !inClass: depth--; break;
                case '|' when !inClass && depth == 0: return true;
            }
        return false;
    }

    private RefusedException Refuse(string what) => new(new Error("unsupported-schema", $"{_path}: this regular expression is not supported: {what}", "use a simpler one, or check the answer yourself") { Field = _path });
}
