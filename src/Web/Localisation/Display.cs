using System.Globalization;
using Microsoft.Extensions.Localization;

namespace TokenMill.Web.Localisation;

/// <summary>Numbers and times as the reader writes them. The time zone comes from the browser (a cookie), else UTC.</summary>
public sealed class Display(TimeProvider time, IStringLocalizer localizer)
{
    public TimeZoneInfo TimeZone { get; private set; } = TimeZoneInfo.Utc;

    public void Use(string? timeZone)
    {
        if (timeZone is not null && TimeZoneInfo.TryFindSystemTimeZoneById(timeZone, out var found)) TimeZone = found;
    }

    private static CultureInfo Culture => CultureInfo.CurrentCulture;

    public string Number(double value, int decimals = 0) => value.ToString("N" + decimals, Culture);

    /// <summary>Without needless zeros and thousands: for axes.</summary>
    public string Plain(double value, int decimals) => value.ToString("0." + new string('#', decimals), Culture);

    public string Percent(double share, int decimals = 0) => (share * 100).ToString("N" + decimals, Culture) + " %";

    /// <summary>Three digits that matter: 0.0031, 1.61, 412, 6.1e-5.</summary>
    public string Significant(double value) => Math.Abs(value) switch
    {
        0 => "0",
        < 1e-3 => value.ToString("0.0e-0", Culture),
        < 1 => value.ToString("0.####", Culture),
        < 10 => value.ToString("0.00", Culture),
        < 100 => value.ToString("0.0", Culture),
        _ => value.ToString("N0", Culture),
    };

    /// <summary>1.2 k, 135 M, 7.2 B.</summary>
    public string Short(double value) => Math.Abs(value) switch
    {
        < 1e4 => value.ToString("N0", Culture),
        < 1e6 => (value / 1e3).ToString("0.#", Culture) + " k",
        < 1e9 => (value / 1e6).ToString("0.#", Culture) + " M",
        _ => (value / 1e9).ToString("0.#", Culture) + " B",
    };

    public string Bytes(long bytes) => bytes switch
    {
        < 1000 => bytes.ToString("N0", Culture) + " B",
        < 1000_000 => (bytes / 1e3).ToString("0.#", Culture) + " kB",
        < 1000_000_000 => (bytes / 1e6).ToString("0.#", Culture) + " MB",
        _ => (bytes / 1e9).ToString("0.#", Culture) + " GB",
    };

    /// <summary>14:52 today, else with the day.</summary>
    public string Time(DateTimeOffset at)
    {
        var (local, today) = (TimeZoneInfo.ConvertTime(at, TimeZone), TimeZoneInfo.ConvertTime(time.GetUtcNow(), TimeZone));
        if (local.Date == today.Date) return local.ToString("HH:mm", Culture);
        return local.Year == today.Year ? local.ToString(Culture.TwoLetterISOLanguageName == "zh" ? "M月d日 HH:mm" : "d MMM HH:mm", Culture) : local.ToString(Culture.TwoLetterISOLanguageName == "zh" ? "yyyy年M月d日" : "d MMM yyyy", Culture);
    }

    /// <summary>Saturday, 21 November.</summary>
    public string Today() => TimeZoneInfo.ConvertTime(time.GetUtcNow(), TimeZone).ToString(Culture.TwoLetterISOLanguageName == "zh" ? "M月d日 dddd" : "dddd, d MMMM", Culture);

    /// <summary>Just now, 5 min ago, else the time.</summary>
    public string Ago(DateTimeOffset at)
    {
        var passed = time.GetUtcNow() - at;
        if (passed < TimeSpan.FromMinutes(1)) return localizer["just now"];
        if (passed < TimeSpan.FromHours(1)) return localizer["{0} min ago", (int)passed.TotalMinutes];
        return Time(at);
    }

    /// <summary>40 s, 11 min, 3 h 20 min.</summary>
    public string Duration(TimeSpan duration) => duration switch
    {
        { TotalSeconds: < 90 } => localizer["{0} s", Math.Max(0, (int)Math.Round(duration.TotalSeconds))],
        { TotalMinutes: < 90 } => localizer["{0} min", (int)Math.Round(duration.TotalMinutes)],
        _ => localizer["{0} h {1} min", (int)duration.TotalHours, duration.Minutes],
    };

    public string Milliseconds(double milliseconds) =>
        milliseconds < 10_000 ? milliseconds.ToString(milliseconds < 100 ? "0.#" : "N0", Culture) + " ms" : Duration(TimeSpan.FromMilliseconds(milliseconds));
}
