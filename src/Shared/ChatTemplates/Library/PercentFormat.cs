using System.Globalization;
using System.Numerics;
using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>The operator % on texts, as in C's printf with Python's <c>%r</c> and <c>%(name)s</c>.</summary>
internal sealed class PercentFormat
{
    private readonly TextValue _format;
    private readonly Value _arguments;
    private readonly Rendering _rendering;
    private int _position, _next;

    private PercentFormat(TextValue format, Value arguments, Rendering rendering) => (_format, _arguments, _rendering) = (format, arguments, rendering);

    public static TextValue Apply(TextValue format, Value arguments, Rendering rendering) =>
        new(new PercentFormat(format, arguments, rendering).Run(), format.IsMarkup);

    private string Run()
    {
        var result = new TextBuffer(_rendering.Budget);
        var text = _format.Text;
        while (_position < text.Length)
        {
            var c = text[_position++];
            result.Append(c == '%' ? Conversion() : c.ToString());
        }
        var given = _arguments is TupleValue tuple ? tuple.Items.Count : _arguments is MapValue or ListValue or UndefinedValue ? _next : 1;
        return _next >= given ? result.ToString() : throw TemplateException.TypeError("not all arguments converted during string formatting");
    }

    private string Conversion()
    {
        var key = Peek() == '(' ? Key() : null;
        var flags = "";
        while (Peek() is '#' or '0' or '-' or ' ' or '+') flags += Take();
        var width = Number();
        int? precision = null;
        if (Peek() == '.')
        {
            Take();
            precision = Number() ?? 0;
        }
        if (Peek() is 'h' or 'l' or 'L') Take();
        var type = Take();
        if (width < 0) (width, flags) = (-width, flags + "-");
        if (type == '%') return "%";
        return Format(type, flags, width ?? 0, precision, key is null ? Argument() : Named(key));
    }

    private string Format(char type, string flags, int width, int? precision, Value value)
    {
        if (precision > 1000) throw TemplateException.OverBudget("digits in a number");
        var align = flags.Contains('-') ? '<' : flags.Contains('0') && type is not ('s' or 'r' or 'a' or 'c') ? '=' : '>';
        var sign = flags.Contains('+') ? '+' : flags.Contains(' ') ? ' ' : '-';
        var spec = new FormatSpecification(align == '=' ? "0" : " ", align, sign, flags.Contains('#'), width, '\0', precision, type);
        switch (type)
        {
            case 's' or 'r' or 'a': return (spec with { Type = 's' }).Text(Text(type, value), _rendering);
            case 'c':
                var character = value is IntegerValue code ? char.ConvertFromUtf32((int)BigInteger.Clamp(code.Number, 0, 0xD7FF)) : (value as TextValue)?.Text;
                return character is not null && CodePoints.Count(character) == 1
                    ? (spec with { Type = 's', Precision = null }).Text(character, _rendering)
                    : throw TemplateException.TypeError("%c requires int or char");
            case 'd' or 'i' or 'u':
                var whole = value is FloatValue number ? new BigInteger(Finite(number.Number)) : Integer(value, type);
                return (spec with { Type = 'd' }).Integer(whole, _rendering);
            case 'x' or 'X' or 'o': return spec.Integer(Integer(value, type), _rendering);
            case 'e' or 'E' or 'f' or 'F' or 'g' or 'G':
                return value is NumberValue real ? spec.Float(Arithmetic.ToDouble(real), _rendering) : throw Wrong("must be real number", value);
            default: throw TemplateException.ValueError($"unsupported format character '{type}'");
        }
    }

    private string Text(char type, Value value)
    {
        if (type == 's' && _format.IsMarkup) return Printer.Escape(value, _rendering.Budget).Text;
        if (type == 's') return Printer.Str(value, _rendering.Budget);
        return type == 'a' && value is TextValue text ? Printer.Quote(text.Text, asciiOnly: true) : Printer.Repr(value, _rendering.Budget);
    }

    private static double Finite(double number) => double.IsFinite(number) ? number : throw TemplateException.Error("OverflowError", "cannot convert float infinity or NaN to integer");

    private static BigInteger Integer(Value value, char type) =>
        value is IntegerValue number ? number.Number : throw Wrong($"%{type} format: an integer is required", value);

    private static TemplateException Wrong(string message, Value value) =>
        value is UndefinedValue undefined ? undefined.Failure() : TemplateException.TypeError($"{message}, not {value.TypeName}");

    private Value Argument()
    {
        var index = _next++;
        if (_arguments is TupleValue tuple)
            return index < tuple.Items.Count ? tuple.Items[index] : throw TemplateException.TypeError("not enough arguments for format string");
        return index == 0 ? _arguments : throw TemplateException.TypeError("not enough arguments for format string");
    }

    private Value Named(string key)
    {
        if (_arguments is not MapValue map) throw TemplateException.TypeError("format requires a mapping");
        return map.TryGet(new TextValue(key), out var value) ? value : throw TemplateException.Error("KeyError", $"'{key}'");
    }

    private string Key()
    {
        Take();
        var start = _position;
        for (var open = 1; open > 0;) open += Take() switch { '(' => 1, ')' => -1, _ => 0 };
        return _format.Text[start..(_position - 1)];
    }

    private int? Number()
    {
        if (Peek() == '*')
        {
            Take();
            return Argument() is IntegerValue star ? (int)BigInteger.Clamp(star.Number, -1_000_000_000, 1_000_000_000) : throw TemplateException.TypeError("* wants int");
        }
        var start = _position;
        while (char.IsAsciiDigit(Peek())) _position++;
        if (_position == start) return null;
        return _position - start < 10 ? int.Parse(_format.Text.AsSpan(start, _position - start), CultureInfo.InvariantCulture) : throw TemplateException.OverBudget("memory");
    }

    private char Peek() => _position < _format.Text.Length ? _format.Text[_position] : '\0';

    private char Take() => _position < _format.Text.Length ? _format.Text[_position++] : throw TemplateException.ValueError("incomplete format");
}
