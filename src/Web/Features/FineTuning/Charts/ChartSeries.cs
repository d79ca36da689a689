using System.Globalization;
using System.Text;

namespace TokenMill.Web.Features.FineTuning.Charts;

/// <summary>One value of a series; <c>Step</c> counts optimizer steps.</summary>
public readonly record struct ChartPoint(double Step, double Value);

/// <summary>What a line chart needs of numbers, free of any page: smoothing, thinning, ticks, paths.</summary>
public static class ChartSeries
{
    /// <summary>
    /// Exponential moving average, corrected for its start (so that the first values are not pulled to zero).
    /// The weight grows with the length of the run: a short run is hardly smoothed, a long one over about 1/60 of it.
    /// </summary>
    public static IReadOnlyList<ChartPoint> Smooth(IReadOnlyList<ChartPoint> points)
    {
        var decay = 1 - 1 / Math.Max(2.0, points.Count / 60.0);
        var smoothed = new ChartPoint[points.Count];
        double sum = 0, weight = 0;
        for (var i = 0; i < points.Count; i++)
        {
            sum = decay * sum + (1 - decay) * points[i].Value;
            weight = decay * weight + (1 - decay);
            smoothed[i] = points[i] with { Value = sum / weight };
        }
        return smoothed;
    }

    /// <summary>At most two points a bucket, its lowest and its highest in their order: a spike never disappears. First and last stay.</summary>
    public static IReadOnlyList<ChartPoint> Thin(IReadOnlyList<ChartPoint> points, int maxPoints)
    {
        var buckets = Math.Max(1, maxPoints / 2 - 1);
        if (points.Count <= maxPoints) return points;
        var thin = new List<ChartPoint>(maxPoints) { points[0] };
        for (var bucket = 0; bucket < buckets; bucket++)
        {
            int from = 1 + (int)((long)(points.Count - 2) * bucket / buckets), to = 1 + (int)((long)(points.Count - 2) * (bucket + 1) / buckets);
            if (from == to) continue;
            int low = from, high = from;
            for (var i = from; i < to; i++)
            {
                if (points[i].Value < points[low].Value) low = i;
                if (points[i].Value > points[high].Value) high = i;
            }
            thin.Add(points[Math.Min(low, high)]);
            if (low != high) thin.Add(points[Math.Max(low, high)]);
        }
        thin.Add(points[^1]);
        return thin;
    }

    /// <summary>Round values (1, 2 or 5 times a power of ten apart) that lie within the range, about <paramref name="wanted"/> of them.</summary>
    public static IReadOnlyList<double> Ticks(double low, double high, int wanted)
    {
        if (!(high > low) || wanted < 1) return [];
        var rough = (high - low) / wanted;
        var power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        var step = power * (rough / power) switch { < 1.5 => 1, < 3 => 2, < 7 => 5, _ => 10 };
        var ticks = new List<double>();
        for (var k = Math.Ceiling(low / step); k * step <= high; k++) ticks.Add(k * step);
        return ticks;
    }

    /// <summary>An SVG path in a square of 0…1000, y downwards.</summary>
    public static string Path(IReadOnlyList<ChartPoint> points, ChartScale x, ChartScale y)
    {
        var path = new StringBuilder(points.Count * 12);
        foreach (var point in points)
            path.Append(path.Length == 0 ? 'M' : 'L').Append(Number(1000 * x.Share(point.Step))).Append(' ').Append(Number(1000 - 1000 * y.Share(point.Value)));
        return path.ToString();

        static string Number(double value) => value.ToString("0.#", CultureInfo.InvariantCulture);
    }
}

/// <summary>Places a value between 0 (low) and 1 (high), evenly or by its logarithm.</summary>
public readonly record struct ChartScale(double Low, double High, bool Logarithmic = false)
{
    public double Share(double value)
    {
        if (!(High > Low)) return 0.5;
        var share = Logarithmic ? Math.Log(value / Low) / Math.Log(High / Low) : (value - Low) / (High - Low);
        return double.IsNaN(share) ? 0 : Math.Clamp(share, 0, 1);
    }

    /// <summary>The range of all values with a little air, never empty.</summary>
    public static ChartScale Around(IEnumerable<double> values, bool logarithmic = false)
    {
        double low = double.PositiveInfinity, high = double.NegativeInfinity;
        foreach (var value in values.Where(v => double.IsFinite(v) && (!logarithmic || v > 0)))
            (low, high) = (Math.Min(low, value), Math.Max(high, value));
        if (low > high) return new ChartScale(logarithmic ? 0.1 : 0, 1, logarithmic);
        if (low == high) return logarithmic ? new ChartScale(low / 2, high * 2, true) : new ChartScale(low - Math.Max(0.5, Math.Abs(low) / 10), high + Math.Max(0.5, Math.Abs(high) / 10));
        return logarithmic
            ? new ChartScale(low * Math.Pow(high / low, -0.06), high * Math.Pow(high / low, 0.06), true)
            : new ChartScale(low - (high - low) * 0.06, high + (high - low) * 0.06);
    }
}
