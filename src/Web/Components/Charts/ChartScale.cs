namespace TokenMill.Web.Components.Charts;

/// <summary>Maps values to 0…1 along one axis, with round ticks.</summary>
public sealed class ChartScale
{
    private readonly double _low, _high;
    private readonly bool _log;

    private ChartScale(double low, double high, bool log, IReadOnlyList<double> ticks) => (_low, _high, _log, Ticks) = (low, high, log, ticks);

    public IReadOnlyList<double> Ticks { get; }

    /// <summary>Decimals that tell neighbouring ticks apart.</summary>
    public int Decimals
    {
        get
        {
            if (_log || Ticks.Count < 2) return _log ? 3 : 0;
            var step = Ticks[1] - Ticks[0];
            return Math.Clamp((int)Math.Ceiling(-Math.Log10(step) - 1e-9), 0, 8);
        }
    }

    /// <summary>An axis that shows all of these values, from a tick to a tick.</summary>
    public static ChartScale Around(IEnumerable<double> values, int ticks, bool log = false)
    {
        var finite = values.Where(v => double.IsFinite(v) && (!log || v > 0)).ToArray();
        if (finite.Length == 0) return Between(0, 1, ticks);
        var (low, high) = (finite.Min(), finite.Max());
        if (log)
        {
            var marks = new List<double>();
            for (var power = Math.Floor(Math.Log10(low)); power <= Math.Ceiling(Math.Log10(high)) + 1e-9; power++) marks.AddRange([Math.Pow(10, power), 2 * Math.Pow(10, power), 5 * Math.Pow(10, power)]);
            return new ChartScale(low * 0.95, high * 1.05, true, [.. marks.Where(m => m >= low * 0.95 && m <= high * 1.05)]);
        }
        if (high - low < Math.Max(1e-12, Math.Abs(high) * 1e-9)) (low, high) = (low - Math.Max(0.5, Math.Abs(low) * 0.1), high + Math.Max(0.5, Math.Abs(high) * 0.1));
        var step = RoundStep((high - low) / ticks);
        return Build(Math.Floor(low / step) * step, Math.Ceiling(high / step) * step, step);
    }

    /// <summary>An axis with fixed ends; ticks at round places between.</summary>
    public static ChartScale Between(double low, double high, int ticks)
    {
        var step = RoundStep(Math.Max(high - low, 1e-12) / ticks);
        return Build(low, Math.Max(high, low + 1e-12), step);
    }

    public double Place(double value) => _log ? Math.Log(value / _low) / Math.Log(_high / _low) : (value - _low) / (_high - _low);

    public bool Shows(double value) => double.IsFinite(value) && (!_log || value > 0);

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
