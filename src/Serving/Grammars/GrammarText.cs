using System.Globalization;
using System.Text;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Grammars;

/// <summary>
/// Reads GBNF, the notation of llama.cpp's grammars: rules <c>name ::= …</c> of literals, character classes, the dot, groups, alternatives
/// and repetitions (<c>* + ? {m} {m,} {m,n}</c>); the rule <c>root</c> is the whole text. <c>#</c> begins a comment.
/// </summary>
internal sealed class GrammarText
{
    private const int MaxTextLength = 1 << 20, MaxDepth = 200;

    private readonly string _text;
    private readonly GrammarBuilder _builder = new();
    private readonly Dictionary<string, int> _rules = [];
    private readonly HashSet<string> _defined = [];
    private int _at, _depth;

    private GrammarText(string text) => _text = text;

    /// <exception cref="RefusedException">grammar-invalid, grammar-too-large, grammar-left-recursive.</exception>
    public static Grammar Parse(string text)
    {
        if (text.Length > MaxTextLength) throw new RefusedException("grammar-too-large", $"the grammar has {text.Length:N0} characters", $"use at most {MaxTextLength:N0}");
        return new GrammarText(text).Parse();
    }

    private Grammar Parse()
    {
        Rule("root");
        SkipSpace();
        while (_at < _text.Length)
        {
            var name = Name();
            if (!_defined.Add(name)) throw Invalid($"the rule {name} stands there twice");
            SkipSpace();
            Expect("::=");
            Alternatives(Rule(name));
        }
        if (_rules.Keys.FirstOrDefault(n => !_defined.Contains(n)) is { } missing) throw Invalid($"there is no rule {missing}");
        return _builder.Build(rule => _rules.FirstOrDefault(r => r.Value == rule).Key is { } name ? $"the rule {name}" : "a repetition");
    }

    private int Rule(string name) => _rules.TryGetValue(name, out var rule) ? rule : _rules[name] = _builder.NewRule();

    private void Alternatives(int rule)
    {
        if (++_depth > MaxDepth) throw Invalid("groups are nested too deep");
        do _builder.Add(rule, [.. Sequence()]);
        while (Take('|'));
        _depth--;
    }

    private List<GrammarElement> Sequence()
    {
        var elements = new List<GrammarElement>();
        while (true)
        {
            SkipSpace();
            var before = elements.Count;
            switch (Peek)
            {
                case '"':
                    elements.AddRange(Literal());
                    break;
                case '[':
                    elements.Add(_builder.Characters(Class()));
                    break;
                case '.':
                    _at++;
                    elements.Add(_builder.Characters([(0, Utf8Ranges.Last)]));
                    break;
                case '(':
                    _at++;
                    var group = _builder.NewRule();
                    Alternatives(group);
                    if (!Take(')')) throw Invalid("a group is not closed");
                    elements.Add(GrammarElement.OfRule(group));
                    break;
                case var c when IsNameCharacter(c) && !RuleBegins():
                    elements.Add(GrammarElement.OfRule(Rule(Name())));
                    break;
                default:
                    return elements;
            }
            Repetition(elements, before);
        }
    }

    /// <summary>Applies to all of a literal, as in llama.cpp.</summary>
    private void Repetition(List<GrammarElement> elements, int from)
    {
        while (true)
        {
            SkipSpace();
            var (least, most) = Peek switch { '*' => (0, (int?)null), '+' => (1, null), '?' => (0, 1), '{' => Counts(), _ => (-1, null) };
            if (least < 0) return;
            _at++;
            var element = elements.Count - from == 1 ? elements[from] : Group(elements[from..]);
            elements.RemoveRange(from, elements.Count - from);
            elements.Add(_builder.Repeated(element, least, most));
        }
    }

    private GrammarElement Group(List<GrammarElement> elements)
    {
        var rule = _builder.NewRule();
        _builder.Add(rule, [.. elements]);
        return GrammarElement.OfRule(rule);
    }

    /// <summary>Stops at the closing brace.</summary>
    private (int Least, int? Most) Counts()
    {
        _at++;
        var least = Number();
        int? most = least;
        if (Take(','))
        {
            SkipSpace();
            most = Peek == '}' ? null : Number();
        }
        SkipSpace();
        if (Peek != '}') throw Invalid("a count of repetitions is not closed");
        if (most < least) throw Invalid($"a repetition of {least} to {most}");
        return (least, most);
    }

    private int Number()
    {
        SkipSpace();
        var from = _at;
        while (char.IsAsciiDigit(Peek)) _at++;
        return int.TryParse(_text.AsSpan(from, _at - from), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw Invalid("a count of repetitions is no number");
    }

    private IEnumerable<GrammarElement> Literal()
    {
        _at++;
        var text = new StringBuilder();
        while (Peek != '"') text.Append(char.ConvertFromUtf32(Character()));
        _at++;
        return Encoding.UTF8.GetBytes(text.ToString()).Select(b => GrammarElement.OfBytes(ByteSet.Range(b, b)));
    }

    private List<(int First, int Last)> Class()
    {
        _at++;
        var negated = Peek == '^';
        if (negated) _at++;
        var ranges = new List<(int First, int Last)>();
        while (Peek != ']')
        {
            var first = Character();
            var last = first;
            if (Peek == '-' && _at + 1 < _text.Length && _text[_at + 1] != ']')
            {
                _at++;
                last = Character();
            }
            if (last < first) throw Invalid("a range of characters goes backwards");
            ranges.Add((first, last));
        }
        _at++;
        if (!negated) return ranges.Count > 0 ? ranges : throw Invalid("a character class is empty");
        var others = new List<(int First, int Last)>();
        var next = 0;
        foreach (var (first, last) in ranges.Order())
        {
            if (first > next) others.Add((next, first - 1));
            next = Math.Max(next, last + 1);
        }
        if (next <= Utf8Ranges.Last) others.Add((next, Utf8Ranges.Last));
        return others;
    }

    private int Character()
    {
        if (_at >= _text.Length || _text[_at] == '\n') throw Invalid("a literal or a character class is not closed");
        if (_text[_at] != '\\')
        {
            if (!Rune.TryGetRuneAt(_text, _at, out var rune)) throw Invalid("half a surrogate pair");
            _at += rune.Utf16SequenceLength;
            return rune.Value;
        }
        _at++;
        var escape = Peek;
        _at++;
        return escape switch { 'n' => '\n', 'r' => '\r', 't' => '\t', 'x' => Hexadecimal(2), 'u' => Hexadecimal(4), 'U' => Hexadecimal(8), '\0' => throw Invalid("an escape is cut off"), _ => escape };
    }

    private int Hexadecimal(int digits)
    {
        if (_at + digits > _text.Length || !int.TryParse(_text.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) || !Rune.IsValid(value))
            throw Invalid("an escape is no character");
        _at += digits;
        return value;
    }

    private bool RuleBegins()
    {
        var start = _at;
        Name();
        SkipSpace();
        var begins = _text.AsSpan(_at).StartsWith("::=");
        _at = start;
        return begins;
    }

    private string Name()
    {
        var from = _at;
        while (IsNameCharacter(Peek)) _at++;
        return _at > from ? _text[from.._at] : throw Invalid(_at < _text.Length ? $"'{_text[_at]}' is not understood" : "a rule is cut off");
    }

    private static bool IsNameCharacter(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '_';

    private char Peek => _at < _text.Length ? _text[_at] : '\0';

    private bool Take(char c)
    {
        SkipSpace();
        if (Peek != c) return false;
        _at++;
        return true;
    }

    private void Expect(string text)
    {
        if (!_text.AsSpan(_at).StartsWith(text)) throw Invalid($"{text} is missing");
        _at += text.Length;
    }

    private void SkipSpace()
    {
        while (_at < _text.Length && (char.IsWhiteSpace(_text[_at]) || _text[_at] == '#'))
            if (_text[_at] != '#') _at++;
            else while (_at < _text.Length && _text[_at] != '\n') _at++;
    }

    private RefusedException Invalid(string what) =>
        new(new Error("grammar-invalid", $"line {_text.AsSpan(0, Math.Min(_at, _text.Length)).Count('\n') + 1} of the grammar: {what}", "see llama.cpp's description of GBNF") { Field = "grammar" });
}
