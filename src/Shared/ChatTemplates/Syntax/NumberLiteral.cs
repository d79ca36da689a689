using System.Globalization;
using System.Numerics;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Syntax;

/// <summary>Numbers as Jinja writes them: 1, 1_000, 0x1f, 0o17, 0b1, 1.5, 1e-3.</summary>
internal static class NumberLiteral
{
    private const int MaxDigits = 4300;

    public static (int End, Value Value) Read(string source, int begin)
    {
        var end = FloatEnd(source, begin);
        if (end > begin) return (end, new FloatValue(double.Parse(Clean(source[begin..end]), NumberStyles.Float, CultureInfo.InvariantCulture)));
        end = IntegerEnd(source, begin);
        if (end - begin > MaxDigits) throw TemplateException.OverBudget("digits in a number");
        return (end, IntegerValue.Of(Integer(Clean(source[begin..end]))));
    }

    private static string Clean(string digits) => digits.Replace("_", "", StringComparison.Ordinal);

    private static BigInteger Integer(string digits)
    {
        var radix = digits.Length > 2 ? char.ToLowerInvariant(digits[1]) switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 10 } : 10;
        if (radix == 10) return BigInteger.Parse(digits, CultureInfo.InvariantCulture);
        return digits[2..].Aggregate(BigInteger.Zero, (number, digit) => number * radix + Convert.ToInt32(digit.ToString(), 16));
    }

    /// <summary>The end of a float that begins here, or <paramref name="begin"/>: digits with a fraction, an exponent or both.</summary>
    private static int FloatEnd(string source, int begin)
    {
        if (begin > 0 && source[begin - 1] == '.') return begin;
        var end = Digits(source, begin);
        var isFloat = false;
        if (end < source.Length && source[end] == '.' && Digits(source, end + 1) is var fraction && fraction > end + 1) (end, isFloat) = (fraction, true);
        if (end < source.Length && source[end] is 'e' or 'E')
        {
            var sign = end + 1 < source.Length && source[end + 1] is '+' or '-' ? 1 : 0;
            var exponent = Digits(source, end + 1 + sign);
            if (exponent > end + 1 + sign) (end, isFloat) = (exponent, true);
        }
        return isFloat ? end : begin;
    }

    private static int IntegerEnd(string source, int begin)
    {
        if (source[begin] != '0') return Digits(source, begin);
        if (begin + 1 < source.Length)
        {
            Func<char, bool>? accepts = char.ToLowerInvariant(source[begin + 1]) switch
            {
                'x' => char.IsAsciiHexDigit,
                'o' => c => c is >= '0' and <= '7',
                'b' => c => c is '0' or '1',
                _ => null,
            };
            if (accepts is not null && Digits(source, begin + 2, accepts, mayLead: true) is var end && end > begin + 2) return end;
        }
        return Digits(source, begin, c => c == '0');
    }

    private static int Digits(string source, int begin, Func<char, bool>? accepts = null, bool mayLead = false)
    {
        accepts ??= char.IsAsciiDigit;
        var end = begin;
        for (var i = begin; i < source.Length; i++)
        {
            if (accepts(source[i])) end = i + 1;
            else if (source[i] != '_' || i == begin && !mayLead || i > begin && source[i - 1] == '_') break;
        }
        return end;
    }
}
