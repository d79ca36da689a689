namespace TokenMill.Web.Components.Charts;

/// <summary>Maps values to 0…1 along one axis, with round ticks.</summary>
public sealed class ChartScale
{
    private const double Air = 0.05;

    private readonly bool _log;

    private ChartScale(double low, double high, bool log, IReadOnlyList<double> ticks) => (Low, High, _log, Ticks) = (low, high, log, ticks);

    public double Low { get; }
    public double High { get; }

    public IReadOnlyList<double> Ticks { get; }

    /// <summary>Decimals that tell neighbouring ticks apart.</summary>
    public int Decimals
    {
        get
        {
            if (Ticks.Count < 2) return 0;
            var step = Ticks.Zip(Ticks.Skip(1), (a, b) => b - a).Min();
            return Math.Clamp((int)Math.Ceiling(-Math.Log10(step) - 1e-9), 0, 8);
        }
    }

    /// <summary>An axis that shows all of these values with a little air, below zero only where there are such values.</summary>
    public static ChartScale Around(IEnumerable<double> values, int ticks, bool log = false)
    {
        var finite = values.Where(v => double.IsFinite(v) && (!log || v > 0)).ToArray();
        if (finite.Length == 0) return Between(0, 1, ticks);
        var (low, high) = (finite.Min(), finite.Max());
        if (high - low < Math.Max(1e-12, Math.Abs(high) * 1e-9)) (low, high) = log ? (low / 2, high * 2) : (low - Math.Max(0.5, Math.Abs(low) / 10), high + Math.Max(0.5, Math.Abs(high) / 10));
        if (log)
        {
            var air = Math.Pow(high / low, Air);
            return new ChartScale(low / air, high * air, true, LogTicks(low / air, high * air, ticks));
        }
        var room = (high - low) * Air;
        return Between(low >= 0 ? Math.Max(0, low - room) : low - room, high + room, ticks);
    }

    /// <summary>An axis with fixed ends; ticks at round places between.</summary>
    public static ChartScale Between(double low, double high, int ticks)
    {
        var step = RoundStep(Math.Max(high - low, 1e-12) / ticks);
        return Build(low, Math.Max(high, low + 1e-12), step);
    }

    public double Place(double value) => _log ? Math.Log(value / Low) / Math.Log(High / Low) : (value - Low) / (High - Low);

    public bool Shows(double value) => double.IsFinite(value) && (!_log || value > 0);

    /// <summary>1, 2 and 5 of each power of ten where the axis is long enough for them, else evenly spaced.</summary>
    private static IReadOnlyList<double> LogTicks(double low, double high, int ticks)
    {
        var marks = new List<double>();
        for (var power = Math.Pow(10, Math.Floor(Math.Log10(low))); power <= high; power *= 10) marks.AddRange([power, 2 * power, 5 * power]);
        marks.RemoveAll(mark => mark < low || mark > high);
        return marks.Count >= 3 ? marks : Between(low, high, ticks).Ticks;
    }

    private static ChartScale Build(double low, double high, double step)
    {
        var ticks = new List<double>();
        for (var i = Math.Ceiling(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.Add(i * step + 0.0);           // + 0.0: no minus zero
        return new ChartScale(low, high, false, ticks);
    }

    /// <summary>1, 2 or 5 times a power of ten, at least as large as asked.</summary>
    private static double RoundStep(double atLeast)
    {
        var power = Math.Pow(10, Math.Floor(Math.Log10(atLeast)));
        return (atLeast / power) switch { <= 1 + 1e-9 => power, <= 2 + 1e-9 => 2 * power, <= 5 + 1e-9 => 5 * power, _ => 10 * power };
    }
}
