using System.Globalization;
using System.Numerics;
using System.Text;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>Numbers to text as Python writes them.</summary>
internal static class NumberText
{
    /// <summary>Python refuses to print longer whole numbers.</summary>
    private const int MaxDigits = 4300;

    public static string Integer(BigInteger number)
    {
        if (number.GetBitLength() > MaxDigits * 3.33) throw TemplateException.ValueError("Exceeds the limit (4300 digits) for integer string conversion");
        return number.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>repr: the shortest digits that read back the same; an exponent below 1e-4 and from 1e16.</summary>
    public static string Float(double number)
    {
        if (double.IsNaN(number)) return "nan";
        if (double.IsInfinity(number)) return number > 0 ? "inf" : "-inf";
        var (digits, exponent) = ShortestDigits(number);
        var sign = double.IsNegative(number) ? "-" : "";
        if (exponent is < -4 or >= 16) return sign + Scientific(digits, exponent);
        if (exponent < 0) return sign + "0." + new string('0', -exponent - 1) + digits;
        var whole = digits.Length > exponent + 1 ? digits[..(exponent + 1)] : digits.PadRight(exponent + 1, '0');
        var fraction = digits.Length > exponent + 1 ? digits[(exponent + 1)..] : "0";
        return sign + whole + "." + fraction;
    }

    /// <summary>Digits d₁d₂… and exponent so that |number| = d₁.d₂… × 10^exponent.</summary>
    private static (string Digits, int Exponent) ShortestDigits(double number)
    {
        if (number == 0) return ("0", 0);
        var text = Math.Abs(number).ToString("R", CultureInfo.InvariantCulture);
        var mark = text.IndexOf('E', StringComparison.Ordinal);
        var exponent = mark < 0 ? 0 : int.Parse(text.AsSpan(mark + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        var mantissa = mark < 0 ? text : text[..mark];
        var point = mantissa.IndexOf('.', StringComparison.Ordinal);
        var digits = mantissa.Replace(".", "", StringComparison.Ordinal);
        var significant = digits.TrimStart('0');
        exponent += (point < 0 ? digits.Length : point) - 1 - (digits.Length - significant.Length);
        return (significant.TrimEnd('0'), exponent);
    }

    public static string Scientific(string digits, int exponent) =>
        (digits.Length > 1 ? digits[..1] + "." + digits[1..] : digits)
        + "e" + (exponent < 0 ? "-" : "+") + Math.Abs(exponent).ToString("00", CultureInfo.InvariantCulture);

    /// <summary>|number| rounded exactly, half to even, to so many decimals (which may be negative), as a whole number of 10^-decimals.</summary>
    public static BigInteger Scale(double number, int decimals)
    {
        var bits = BitConverter.DoubleToInt64Bits(Math.Abs(number));
        var biased = (int)(bits >> 52);
        var mantissa = (bits & ((1L << 52) - 1)) | (biased > 0 ? 1L << 52 : 0);
        var power = Math.Max(biased, 1) - 1075;
        BigInteger numerator = mantissa, denominator = BigInteger.One;
        if (decimals >= 0) numerator *= BigInteger.Pow(10, decimals);
        else denominator *= BigInteger.Pow(10, -decimals);
        if (power >= 0) numerator <<= power;
        else denominator <<= -power;
        var quotient = BigInteger.DivRem(numerator, denominator, out var remainder);
        var half = (remainder * 2).CompareTo(denominator);
        return half > 0 || half == 0 && !quotient.IsEven ? quotient + 1 : quotient;
    }

    /// <summary>|number| with so many decimals.</summary>
    public static string Fixed(double number, int decimals)
    {
        var digits = Scale(number, decimals).ToString(CultureInfo.InvariantCulture).PadLeft(decimals + 1, '0');
        return decimals == 0 ? digits : digits[..^decimals] + "." + digits[^decimals..];
    }

    /// <summary>|number| as so many significant digits and an exponent.</summary>
    public static (string Digits, int Exponent) Significant(double number, int count)
    {
        if (number == 0) return (new string('0', count), 0);
        var exponent = ShortestDigits(number).Exponent;
        var digits = Scale(number, count - 1 - exponent).ToString(CultureInfo.InvariantCulture);
        if (digits.Length < count) digits = Scale(number, count - 1 - --exponent).ToString(CultureInfo.InvariantCulture);
        return digits.Length > count ? (digits[..count], exponent + 1) : (digits, exponent);
    }

    public static string Group(string whole, char separator, int size = 3)
    {
        var result = new StringBuilder();
        for (var i = 0; i < whole.Length; i++)
        {
            if (i > 0 && (whole.Length - i) % size == 0) result.Append(separator);
            result.Append(whole[i]);
        }
        return result.ToString();
    }
}
