using System.Globalization;
using System.Numerics;
using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

internal static class NumberFilters
{
    public static void Register(Action<string, string, FilterLibrary.Filter> add)
    {
        add("abs", "", (v, _, _) => Absolute(v));
        add("int", "default? base?", (v, a, r) => ToInteger(v, a.Int(1, 10), r) ?? a.Value(0, IntegerValue.Of(0)));
        add("float", "default?", (v, a, _) => ToFloat(v) ?? a.Value(0, new FloatValue(0)));
        add("round", "precision? method?", Round);
        add("filesizeformat", "binary?", (v, a, _) => new TextValue(FileSize(ToFloat(v)?.Number ?? throw TemplateException.ValueError("could not convert to float"), a.Flag(0))));
    }

    private static Value Absolute(Value value) => value switch
    {
        UndefinedValue undefined => throw undefined.Failure(),
        IntegerValue number => IntegerValue.Of(BigInteger.Abs(number.Number)),
        FloatValue number => new FloatValue(Math.Abs(number.Number)),
        _ => throw TemplateException.TypeError($"bad operand type for abs(): '{value.TypeName}'"),
    };

    private static Value? ToInteger(Value value, int radix, Rendering rendering)
    {
        switch (value)
        {
            case UndefinedValue undefined: throw undefined.Failure();
            case IntegerValue number: return IntegerValue.Of(number.Number);
            case FloatValue number: return double.IsFinite(number.Number) ? IntegerValue.Of(new BigInteger(number.Number)) : double.IsNaN(number.Number) ? null : throw TemplateException.Error("OverflowError", "cannot convert float infinity to integer");
            case TextValue text:
                if (ParseInteger(text.Text, radix, rendering) is { } parsed) return IntegerValue.Of(parsed);
                return ToFloat(text) is { Number: var real } && double.IsFinite(real) ? IntegerValue.Of(new BigInteger(real)) : null;
            default: return null;
        }
    }

    private static BigInteger? ParseInteger(string text, int radix, Rendering rendering)
    {
        var digits = PythonText.Trim(text);
        var negative = digits.StartsWith('-');
        if (digits.Length > 0 && digits[0] is '+' or '-') digits = digits[1..];
        if (digits.Length > 1 && digits[0] == '0' && char.ToLowerInvariant(digits[1]) switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 1 } is > 1 and var prefix && radix is 0 || digits.Length > 1 && Prefix(digits) == radix)
        {
            radix = Prefix(digits);
            digits = digits[2..].TrimStart('_');
        }
        if (radix == 0) radix = 10;
        if (digits.Length is 0 or > 4300 || digits[0] == '_' || digits[^1] == '_' || digits.Contains("__", StringComparison.Ordinal)) return null;
        rendering.Budget.Step(digits.Length);
        if (radix == 10 && digits.All(char.IsAsciiDigit)) return BigInteger.Parse((negative ? "-" : "") + digits, CultureInfo.InvariantCulture);
        var number = BigInteger.Zero;
        foreach (var c in digits)
        {
            if (c == '_') continue;
            var digit = c < 128 && char.IsAsciiLetter(c) ? char.ToLowerInvariant(c) - 'a' + 10 : CharUnicodeInfo.GetDecimalDigitValue(c);
            if (digit < 0 || digit >= radix) return null;
            number = number * radix + digit;
        }
        return negative ? -number : number;
    }

    private static int Prefix(string digits) =>
        digits[0] != '0' ? -1 : char.ToLowerInvariant(digits[1]) switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => -1 };

    private static FloatValue? ToFloat(Value value)
    {
        switch (value)
        {
            case UndefinedValue undefined: throw undefined.Failure();
            case NumberValue number: return new FloatValue(Arithmetic.ToDouble(number));
            case TextValue text:
                var trimmed = PythonText.Trim(text.Text).ToLowerInvariant();
                switch (trimmed.TrimStart('+', '-'))
                {
                    case "inf" or "infinity": return new FloatValue(trimmed[0] == '-' ? double.NegativeInfinity : double.PositiveInfinity);
                    case "nan": return new FloatValue(double.NaN);
                }
                var digits = trimmed.Replace("_", "", StringComparison.Ordinal);
                var misplaced = trimmed.Where((c, i) => c == '_' && !(i > 0 && i + 1 < trimmed.Length && char.IsAsciiDigit(trimmed[i - 1]) && char.IsAsciiDigit(trimmed[i + 1]))).Any();
                return !misplaced && double.TryParse(digits, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out var parsed) ? new FloatValue(parsed) : null;
            default: return null;
        }
    }

    private static Value Round(Value value, BoundArguments arguments, Rendering rendering)
    {
        var precision = arguments.Int(0, 0);
        var method = arguments.Text(1) ?? "common";
        if (method is not ("common" or "ceil" or "floor")) throw TemplateException.Error("FilterArgumentError", "method must be common, ceil or floor");
        if (value is UndefinedValue undefined) throw undefined.Failure();
        if (value is not NumberValue number) throw TemplateException.TypeError($"type {value.TypeName} doesn't define __round__ method");
        if (Math.Abs((long)precision) > 400) return precision > 0 ? value : value is IntegerValue ? IntegerValue.Of(0) : new FloatValue(0);
        rendering.Budget.Step(Math.Abs(precision));
        if (method == "common") return number is IntegerValue whole ? RoundInteger(whole.Number, precision) : new FloatValue(RoundFloat(((FloatValue)number).Number, precision));
        var scale = Math.Pow(10, precision);
        var scaled = Arithmetic.ToDouble(number) * scale;
        return new FloatValue((method == "ceil" ? Math.Ceiling(scaled) : Math.Floor(scaled)) / scale);
    }

    private static IntegerValue RoundInteger(BigInteger number, int precision)
    {
        if (precision >= 0) return IntegerValue.Of(number);
        var unit = BigInteger.Pow(10, -precision);
        var quotient = BigInteger.DivRem(BigInteger.Abs(number), unit, out var remainder);
        var half = (remainder * 2).CompareTo(unit);
        if (half > 0 || half == 0 && !quotient.IsEven) quotient++;
        return IntegerValue.Of(quotient * unit * number.Sign);
    }

    /// <summary>Rounds the exact decimal expansion, half to even, as Python does.</summary>
    public static double RoundFloat(double number, int precision)
    {
        if (!double.IsFinite(number) || precision > 330) return number;
        var text = NumberText.Scale(number, precision).ToString(CultureInfo.InvariantCulture) + "e" + (-precision).ToString(CultureInfo.InvariantCulture);
        return Math.CopySign(double.Parse(text, CultureInfo.InvariantCulture), number);
    }

    private static string FileSize(double bytes, bool binary)
    {
        var unit = binary ? 1024.0 : 1000.0;
        if (bytes == 1) return "1 Byte";
        if (bytes < unit) return string.Create(CultureInfo.InvariantCulture, $"{Math.Truncate(bytes):0} Bytes");
        string[] prefixes = binary ? ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"] : ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
        var step = 0;
        while (step < prefixes.Length - 1 && bytes >= Math.Pow(unit, step + 2)) step++;
        return NumberText.Fixed(unit * bytes / Math.Pow(unit, step + 2), 1) + " " + prefixes[step];
    }
}
