using TokenMill.Shared.ChatTemplates.Library;

namespace TokenMill.Shared.ChatTemplates.Syntax;

/// <summary>
/// Cuts a template into tokens, with the settings that chat templates are written for: <c>trim_blocks</c> (the newline after a block or
/// comment goes) and <c>lstrip_blocks</c> (blanks before a block or comment at the start of a line go), both overruled by <c>+</c>;
/// <c>-</c> eats all white space on its side. Line ends become \n, one at the very end is dropped. (Jinja2's documentation, "Whitespace Control".)
/// </summary>
internal sealed class Lexer
{
    private static readonly string[] Symbols =
    ["//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"];

    private readonly string _source;
    private readonly List<Token> _tokens = [];
    private int _position;
    private int _line = 1;
    private bool _lineStarting = true;

    private Lexer(string source) => _source = source;

    public static List<Token> Tokenize(string source)
    {
        if (source.Length > Budget.MaxSourceLength) throw TemplateException.OverBudget($"than {Budget.MaxSourceLength} characters of source; more");
        var text = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        if (text.EndsWith('\n')) text = text[..^1];
        var lexer = new Lexer(text);
        while (lexer._position < text.Length) lexer.Next();
        lexer.Add(TokenKind.End, "");
        return lexer._tokens;
    }

    private void Next()
    {
        var begin = FindTag(_position);
        if (begin < 0)
        {
            AddData(_source[_position..]);
            _position = _source.Length;
            return;
        }
        var data = _source[_position..begin];
        var kind = _source[begin + 1];
        var afterTag = begin + 2;
        var sign = afterTag < _source.Length && _source[afterTag] is '-' or '+' ? _source[afterTag++] : ' ';
        data = StripBefore(data, sign, isPrint: kind == '{');
        AddData(data, _source[_position..begin]);
        _position = afterTag;
        switch (kind)
        {
            case '#': Comment(); break;
            case '{': Tag(TokenKind.PrintBegin, TokenKind.PrintEnd, "}}"); break;
            default:
                if (RawBegin(afterTag) is { } body) Raw(body);
                else Tag(TokenKind.BlockBegin, TokenKind.BlockEnd, "%}");
                break;
        }
    }

    private int FindTag(int from)
    {
        for (var i = _source.IndexOf('{', from); i >= 0 && i + 1 < _source.Length; i = _source.IndexOf('{', i + 1))
            if (_source[i + 1] is '{' or '%' or '#') return i;
        return -1;
    }

    private string StripBefore(string data, char sign, bool isPrint)
    {
        if (sign == '-') return PythonText.TrimEnd(data);
        if (sign == '+' || isPrint) return data;
        var lineStart = data.LastIndexOf('\n') + 1;
        if (lineStart == 0 && !_lineStarting) return data;
        for (var i = lineStart; i < data.Length; i++)
            if (!PythonText.IsSpace(data[i])) return data;
        return data[..lineStart];
    }

    private void Comment()
    {
        if (_position == _source.Length) return;
        var end = _source.IndexOf("#}", _position, StringComparison.Ordinal);
        if (end < 0) throw TemplateException.Syntax("Missing end of comment tag", _line);
        var sign = end > _position ? _source[end - 1] : ' ';
        SkipTo(AfterTagEnd(end + 2, sign, trimNewline: true));
    }

    /// <summary>Where the body of a raw block begins, if the block that begins here is one.</summary>
    private int? RawBegin(int position)
    {
        var i = SkipSpace(position);
        if (string.CompareOrdinal(_source, i, "raw", 0, 3) != 0) return null;
        i = SkipSpace(i + 3);
        if (string.CompareOrdinal(_source, i, "-%}", 0, 3) == 0) return SkipSpace(i + 3);
        return string.CompareOrdinal(_source, i, "%}", 0, 2) == 0 ? i + 2 : null;
    }

    private void Raw(int body)
    {
        SkipTo(body);
        if (_position == _source.Length) return;
        for (var begin = _source.IndexOf("{%", body, StringComparison.Ordinal); begin >= 0; begin = _source.IndexOf("{%", begin + 1, StringComparison.Ordinal))
        {
            var i = begin + 2;
            var sign = i < _source.Length && _source[i] is '-' or '+' ? _source[i++] : ' ';
            i = SkipSpace(i);
            if (string.CompareOrdinal(_source, i, "endraw", 0, 6) != 0) continue;
            i = SkipSpace(i + 6);
            var endSign = i < _source.Length && _source[i] is '-' or '+' ? _source[i++] : ' ';
            if (string.CompareOrdinal(_source, i, "%}", 0, 2) != 0) continue;
            AddData(StripBefore(_source[body..begin], sign, isPrint: false), _source[body..begin]);
            _position = begin;
            SkipTo(AfterTagEnd(i + 2, endSign, trimNewline: true));
            return;
        }
        throw TemplateException.Syntax("Missing end of raw directive", _line);
    }

    private void Tag(TokenKind begin, TokenKind end, string closing)
    {
        Add(begin, closing);
        var open = new Stack<char>();
        while (_position < _source.Length)
        {
            var c = _source[_position];
            if (open.Count == 0 && TagEnd(closing) is { } after)
            {
                Add(end, closing);
                SkipTo(after);
                return;
            }
            if (PythonText.IsSpace(c)) SkipTo(_position + 1);
            else if (char.IsAsciiDigit(c)) Number();
            else if (c == '_' || char.IsLetterOrDigit(c) || char.IsSurrogate(c)) Identifier();
            else if (c is '\'' or '"') Text(c);
            else Symbol(open);
        }
    }

    private int? TagEnd(string closing)
    {
        var signed = _source[_position] == '-' || _source[_position] == '+' && closing == "%}";
        var at = signed ? _position + 1 : _position;
        if (string.CompareOrdinal(_source, at, closing, 0, 2) != 0) return null;
        return AfterTagEnd(at + 2, signed ? _source[_position] : ' ', trimNewline: closing == "%}");
    }

    private int AfterTagEnd(int position, char sign, bool trimNewline)
    {
        if (sign == '-') return SkipSpace(position);
        return trimNewline && sign != '+' && position < _source.Length && _source[position] == '\n' ? position + 1 : position;
    }

    private void Number()
    {
        var (end, value) = NumberLiteral.Read(_source, _position);
        Add(TokenKind.Number, "", value);
        _position = end;
    }

    private void Identifier()
    {
        var end = _position + 1;
        while (end < _source.Length && (_source[end] == '_' || char.IsLetterOrDigit(_source[end]) || char.IsSurrogate(_source[end]))) end++;
        var text = _source[_position..end];
        if (!PythonText.IsIdentifier(text)) throw TemplateException.Syntax("Invalid character in identifier", _line);
        Add(TokenKind.Name, string.Intern(text));
        _position = end;
    }

    private void Text(char quote)
    {
        var end = _position + 1;
        while (end < _source.Length && _source[end] != quote) end += _source[end] == '\\' ? 2 : 1;
        if (end >= _source.Length) throw TemplateException.Syntax($"unexpected char {quote}", _line);
        Add(TokenKind.Text, TextLiteral.Unescape(_source[(_position + 1)..end], _line));
        SkipTo(end + 1);
    }

    private void Symbol(Stack<char> open)
    {
        var symbol = Symbols.FirstOrDefault(s => string.CompareOrdinal(_source, _position, s, 0, s.Length) == 0)
            ?? throw TemplateException.Syntax($"unexpected char '{_source[_position]}'", _line);
        switch (symbol)
        {
            case "{": open.Push('}'); break;
            case "(": open.Push(')'); break;
            case "[": open.Push(']'); break;
            case "}" or ")" or "]":
                if (!open.TryPop(out var expected)) throw TemplateException.Syntax($"unexpected '{symbol}'", _line);
                if (expected != symbol[0]) throw TemplateException.Syntax($"unexpected '{symbol}', expected '{expected}'", _line);
                break;
        }
        Add(TokenKind.Operator, symbol);
        _position += symbol.Length;
    }

    private int SkipSpace(int position)
    {
        while (position < _source.Length && PythonText.IsSpace(_source[position])) position++;
        return position;
    }

    private void SkipTo(int position)
    {
        _line += _source.AsSpan(_position, position - _position).Count('\n');
        _lineStarting = position > _position && _source[position - 1] == '\n';
        _position = position;
    }

    private void AddData(string data, string? original = null)
    {
        if (data.Length > 0) Add(TokenKind.Data, data);
        _line += (original ?? data).AsSpan().Count('\n');
    }

    private void Add(TokenKind kind, string text, Values.Value? value = null) => _tokens.Add(new Token(kind, text, _line, value));
}
