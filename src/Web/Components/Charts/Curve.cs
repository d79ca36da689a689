using System.Globalization;
using System.Text;

namespace TokenMill.Web.Components.Charts;

/// <summary>What is done to the points of a line before it is drawn.</summary>
public static class Curve
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
            sum = decay * sum + (1 - decay) * points[i].Y;
            weight = decay * weight + (1 - decay);
            smoothed[i] = points[i] with { Y = sum / weight };
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
                if (points[i].Y < points[low].Y) low = i;
                if (points[i].Y > points[high].Y) high = i;
            }
            thin.Add(points[Math.Min(low, high)]);
            if (low != high) thin.Add(points[Math.Max(low, high)]);
        }
        thin.Add(points[^1]);
        return thin;
    }

    /// <summary>An SVG path in a square of 0…1000, y downwards; a single point becomes a short dash.</summary>
    public static string Path(IReadOnlyList<ChartPoint> points, ChartScale x, ChartScale y)
    {
        var path = new StringBuilder(points.Count * 12);
        foreach (var point in points)
            path.Append(path.Length == 0 ? 'M' : 'L').Append(Number(1000 * x.Place(point.X))).Append(' ').Append(Number(1000 - 1000 * y.Place(point.Y)));
        return points.Count == 1 ? path.Append("h4").ToString() : path.ToString();

        static string Number(double value) => value.ToString("0.#", CultureInfo.InvariantCulture);
    }
}
