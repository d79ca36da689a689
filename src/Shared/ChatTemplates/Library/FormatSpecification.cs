using System.Globalization;
using System.Numerics;
using System.Text.RegularExpressions;
using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>Python's format specification: [[fill]align][sign][#][0][width][grouping][.precision][type].</summary>
internal sealed partial record FormatSpecification(string Fill, char Align, char Sign, bool Alternate, int Width, char Grouping, int? Precision, char Type)
{
    private const int MaxPrecision = 1000;

    [GeneratedRegex(@"^(?:(?<fill>.|[\ud800-\udbff][\udc00-\udfff])?(?<align>[<>=^]))?(?<sign>[-+ ])?z?(?<alternate>#)?(?<zero>0)?(?<width>\d{1,9})?(?<grouping>[,_])?(?:\.(?<precision>\d{1,9}))?(?<type>[a-zA-Z%])?$", RegexOptions.Singleline | RegexOptions.CultureInvariant, 100)]
    private static partial Regex Pattern();

    public static FormatSpecification Parse(string text)
    {
        var match = Pattern().Match(text);
        if (!match.Success) throw TemplateException.ValueError("Invalid format specifier");
        char One(string name, char otherwise) => match.Groups[name] is { Success: true } group ? group.Value[0] : otherwise;
        int? Number(string name) => match.Groups[name] is { Success: true } group ? int.Parse(group.Value, CultureInfo.InvariantCulture) : null;
        var zero = match.Groups["zero"].Success;
        var fill = match.Groups["fill"] is { Success: true } found ? found.Value : zero ? "0" : " ";
        if (Number("precision") > MaxPrecision) throw TemplateException.OverBudget("digits in a number");
        return new(fill, One("align", zero ? '=' : '\0'), One("sign", '-'), match.Groups["alternate"].Success, Number("width") ?? 0, One("grouping", '\0'), Number("precision"), One("type", '\0'));
    }

    public static string Format(Value value, string specification, Rendering rendering)
    {
        if (specification.Length == 0) return Printer.Str(value, rendering.Budget);
        var spec = Parse(specification);
        return value switch
        {
            IntegerValue number when spec.Type is 'e' or 'E' or 'f' or 'F' or 'g' or 'G' or '%' => spec.Float(Arithmetic.ToDouble(number), rendering),
            IntegerValue number => spec.Integer(number.Number, rendering),
            FloatValue number => spec.Float(number.Number, rendering),
            TextValue text => spec.Text(text.Text, rendering),
            _ => throw TemplateException.TypeError($"unsupported format string passed to {value.TypeName}.__format__"),
        };
    }

    public string Text(string text, Rendering rendering)
    {
        if (Type is not ('s' or '\0') || Align == '=') throw TemplateException.ValueError($"Unknown format code '{Type}' for object of type 'str'");
        if (Precision is { } length) text = text[..CodePoints.Offset(text, length)];
        return Pad("", text, '<', rendering);
    }

    public string Integer(BigInteger number, Rendering rendering)
    {
        var magnitude = BigInteger.Abs(number);
        var (prefix, digits) = Type switch
        {
            'd' or 'n' or 'i' or 'u' or '\0' => ("", NumberText.Integer(magnitude)),
            'x' => ("0x", Radix(magnitude, 16)),
            'X' => ("0X", Radix(magnitude, 16).ToUpperInvariant()),
            'o' => ("0o", Radix(magnitude, 8)),
            'b' => ("0b", Radix(magnitude, 2)),
            'c' => ("", char.ConvertFromUtf32((int)BigInteger.Clamp(number, 0, 0xD7FF))),
            _ => throw TemplateException.ValueError($"Unknown format code '{Type}' for object of type 'int'"),
        };
        if (Grouping != '\0') digits = NumberText.Group(digits, Grouping, Type is 'x' or 'X' or 'o' or 'b' ? 4 : 3);
        return Pad(SignOf(number.Sign < 0) + (Alternate ? prefix : ""), digits, '>', rendering);
    }

    public string Float(double number, Rendering rendering)
    {
        var negative = double.IsNegative(number) && !double.IsNaN(number);
        var digits = double.IsFinite(number) ? Digits(Math.Abs(number)) : double.IsNaN(number) ? "nan" : "inf";
        if (Type is 'E' or 'F' or 'G') digits = digits.ToUpperInvariant();
        return Pad(SignOf(negative), digits, '>', rendering);
    }

    private string Digits(double number)
    {
        var digits = Type switch
        {
            'f' or 'F' => NumberText.Fixed(number, Precision ?? 6),
            '%' => NumberText.Fixed(number * 100, Precision ?? 6) + "%",
            'e' or 'E' => NumberText.Significant(number, (Precision ?? 6) + 1) is var (all, exponent) ? NumberText.Scientific(all, exponent) : "",
            'g' or 'G' or 'n' => General(number, Math.Max(1, Precision ?? 6), keepPoint: false),
            '\0' when Precision is { } precision => General(number, Math.Max(1, precision), keepPoint: true),
            '\0' => NumberText.Float(number),
            _ => throw TemplateException.ValueError($"Unknown format code '{Type}' for object of type 'float'"),
        };
        if (Grouping == '\0') return digits;
        var end = digits.IndexOfAny(['.', 'e', '%']);
        return end < 0 ? NumberText.Group(digits, Grouping) : NumberText.Group(digits[..end], Grouping) + digits[end..];
    }

    private static string General(double number, int precision, bool keepPoint)
    {
        var (digits, exponent) = NumberText.Significant(number, precision);
        if (exponent < -4 || exponent >= precision - (keepPoint ? 1 : 0) && exponent >= (keepPoint ? Math.Max(precision - 1, 1) : precision))
            return NumberText.Scientific(digits.TrimEnd('0') is { Length: > 0 } some ? some : "0", exponent);
        var text = exponent < 0
            ? "0." + new string('0', -exponent - 1) + digits
            : digits.Length > exponent + 1 ? digits[..(exponent + 1)] + "." + digits[(exponent + 1)..] : digits.PadRight(exponent + 1, '0');
        if (text.Contains('.')) text = text.TrimEnd('0').TrimEnd('.');
        return keepPoint && !text.Contains('.') ? text + ".0" : text;
    }

    private string SignOf(bool negative) => negative ? "-" : Sign switch { '+' => "+", ' ' => " ", _ => "" };

    private string Pad(string sign, string text, char defaultAlign, Rendering rendering) => (Align == '\0' ? defaultAlign : Align) switch
    {
        '=' => sign + TextMethods.PadTo(text, Width - sign.Length, Fill, 0, rendering),
        '<' => TextMethods.PadTo(sign + text, Width, Fill, 1, rendering),
        '^' => Center(sign + text, rendering),
        _ => TextMethods.PadTo(sign + text, Width, Fill, 0, rendering),
    };

    private string Center(string text, Rendering rendering)
    {
        var missing = Math.Max(0, Width - CodePoints.Count(text));
        var left = TextMethods.PadTo(text, Width - (missing - missing / 2), Fill, 0, rendering);
        return TextMethods.PadTo(left, Width, Fill, 1, rendering);
    }

    private static string Radix(BigInteger number, int radix)
    {
        if (number.IsZero) return "0";
        var bits = radix switch { 16 => 4, 8 => 3, _ => 1 };
        var result = new List<char>();
        for (; !number.IsZero; number >>= bits) result.Add("0123456789abcdef"[(int)(number & (radix - 1))]);
        result.Reverse();
        return new string([.. result]);
    }
}
