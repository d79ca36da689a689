using System.Globalization;
using System.Text;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>strftime in the C locale, for a time without a zone; <c>%-d</c> leaves out the padding.</summary>
internal static class DateFormat
{
    private static readonly CultureInfo Culture = CultureInfo.InvariantCulture;

    public static string Apply(string format, DateTimeOffset now)
    {
        var result = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 >= format.Length)
            {
                result.Append(format[i]);
                continue;
            }
            var plain = format[i + 1] == '-' && i + 2 < format.Length;
            if (plain) i++;
            var part = Part(format[++i], now);
            if (part is null) result.Append(plain ? "%-" : "%").Append(format[i]);
            else result.Append(plain && part.TrimStart('0', ' ') is var trimmed ? trimmed.Length > 0 ? trimmed : "0" : part);
        }
        return result.ToString();
    }

    private static string? Part(char directive, DateTimeOffset now) => directive switch
    {
        'a' => now.ToString("ddd", Culture),
        'A' => now.ToString("dddd", Culture),
        'b' or 'h' => now.ToString("MMM", Culture),
        'B' => now.ToString("MMMM", Culture),
        'c' => now.ToString("ddd MMM ", Culture) + Padded(now.Day, 2, ' ') + now.ToString(" HH:mm:ss yyyy", Culture),
        'C' => Padded(now.Year / 100, 2),
        'd' => Padded(now.Day, 2),
        'D' or 'x' => now.ToString("MM/dd/yy", Culture),
        'e' => Padded(now.Day, 2, ' '),
        'f' => now.ToString("ffffff", Culture),
        'F' => now.ToString("yyyy-MM-dd", Culture),
        'g' => Padded(ISOWeek.GetYear(now.DateTime) % 100, 2),
        'G' => ISOWeek.GetYear(now.DateTime).ToString(Culture),
        'H' => Padded(now.Hour, 2),
        'I' => Padded((now.Hour + 11) % 12 + 1, 2),
        'j' => Padded(now.DayOfYear, 3),
        'k' => Padded(now.Hour, 2, ' '),
        'l' => Padded((now.Hour + 11) % 12 + 1, 2, ' '),
        'm' => Padded(now.Month, 2),
        'M' => Padded(now.Minute, 2),
        'n' => "\n",
        'p' => now.Hour < 12 ? "AM" : "PM",
        'P' => now.Hour < 12 ? "am" : "pm",
        'r' => now.ToString("hh:mm:ss ", Culture) + (now.Hour < 12 ? "AM" : "PM"),
        'R' => now.ToString("HH:mm", Culture),
        's' => now.ToUnixTimeSeconds().ToString(Culture),
        'S' => Padded(now.Second, 2),
        't' => "\t",
        'T' or 'X' => now.ToString("HH:mm:ss", Culture),
        'u' => (((int)now.DayOfWeek + 6) % 7 + 1).ToString(Culture),
        'U' => Padded((now.DayOfYear + 6 - (int)now.DayOfWeek) / 7, 2),
        'V' => Padded(ISOWeek.GetWeekOfYear(now.DateTime), 2),
        'w' => ((int)now.DayOfWeek).ToString(Culture),
        'W' => Padded((now.DayOfYear + 6 - ((int)now.DayOfWeek + 6) % 7) / 7, 2),
        'y' => Padded(now.Year % 100, 2),
        'Y' => now.Year.ToString(Culture),
        'z' or 'Z' => "",
        '%' => "%",
        _ => null,
    };

    private static string Padded(int number, int width, char fill = '0') => number.ToString(Culture).PadLeft(width, fill);
}
