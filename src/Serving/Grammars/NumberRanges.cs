using System.Globalization;

namespace TokenMill.Serving.Grammars;

/// <summary>Numbers between two bounds, as the digits that they are written with.</summary>
internal static class NumberRanges
{
    public const long Largest = 999_999_999_999_999;           // 15 digits: what a double holds exactly

    public static string Integers(decimal? least, decimal? most) => Signed((long)(least ?? -Largest), (long)(most ?? Largest), NonNegative);

    /// <summary>Between whole numbers, with up to 16 decimals.</summary>
    public static string Decimals(decimal? least, decimal? most) => Signed((long)(least ?? -Largest), (long)(most ?? Largest), (low, high) =>
        (low < high ? $"({NonNegative(low, high - 1)}) (\".\" [0-9]{{1,16}})? | " : "") + $"\"{high}\" (\".\" \"0\"{{1,16}})?");

    private static string Signed(long least, long most, Func<long, long, string> nonNegative)
    {
        var parts = new List<string>();
        if (most >= 0) parts.Add($"({nonNegative(Math.Max(0, least), most)})");
        if (least < 0) parts.Add($"\"-\" ({nonNegative(Math.Max(1, -most), -least)})");
        return string.Join(" | ", parts);
    }

    private static string NonNegative(long least, long most)
    {
        var parts = new List<string>();
        for (var digits = 1; digits <= 15; digits++)
        {
            var (smallest, largest) = (digits == 1 ? 0 : Power(digits - 1), Power(digits) - 1);
            var (low, high) = (Math.Max(least, smallest), Math.Min(most, largest));
            if (low <= high) parts.Add(SameLength(Digits(low), Digits(high)));
        }
        return string.Join(" | ", parts);
    }

    private static string SameLength(string low, string high)
    {
        if (low.Length == 0) return "\"\"";
        if (low.All(c => c == '0') && high.All(c => c == '9')) return $"[0-9]{{{low.Length}}}";
        if (low[0] == high[0]) return $"\"{low[0]}\" ({SameLength(low[1..], high[1..])})";
        var (first, last, parts) = (low[0], high[0], new List<string>());
        if (low[1..].Any(c => c != '0')) parts.Add($"\"{first++}\" ({SameLength(low[1..], new string('9', low.Length - 1))})");
        var cutsEnd = high[1..].Any(c => c != '9');
        if (cutsEnd) last--;
        if (first <= last) parts.Add($"[{first}-{last}]" + (low.Length > 1 ? $" [0-9]{{{low.Length - 1}}}" : ""));
        if (cutsEnd) parts.Add($"\"{high[0]}\" ({SameLength(new string('0', high.Length - 1), high[1..])})");
        return string.Join(" | ", parts);
    }

    private static string Digits(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static long Power(int exponent) => (long)Math.Pow(10, exponent);
}
