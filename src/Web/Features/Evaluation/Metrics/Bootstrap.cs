namespace TokenMill.Web.Features.Evaluation.Metrics;

/// <summary>A mean and where it would lie in most repetitions with other items.</summary>
public readonly record struct MeanInterval(double Mean, double Low, double High);

/// <summary>The difference of two systems on the same items: how likely chance alone makes one this large.</summary>
public readonly record struct PairedDifference(MeanInterval Interval, double POneSided, double PTwoSided);

/// <summary>
/// Bootstrap (Efron, 1979; for paired systems Koehn, 2004): items are drawn anew with replacement, again and again.
/// The seed is fixed, so the same scores give the same answer.
/// </summary>
public static class Bootstrap
{
    public const int DefaultResamples = 10_000;
    private const int Seed = 20261125;

    /// <summary>Means that should be equal differ by rounding.</summary>
    private const double Slack = 1e-12;

    /// <summary>Percentile interval of the mean.</summary>
    public static MeanInterval Mean(IReadOnlyList<double> values, double level = 0.95, int resamples = DefaultResamples) =>
        Interval(values, Resample(values, resamples), level);

    /// <summary>Of a − b, item by item.</summary>
    public static PairedDifference Difference(IReadOnlyList<double> a, IReadOnlyList<double> b, double level = 0.95, int resamples = DefaultResamples)
    {
        if (a.Count != b.Count) throw new ArgumentException($"{a.Count} and {b.Count} scores are not of the same items", nameof(b));
        var differences = a.Zip(b, (x, y) => x - y).ToArray();
        var means = Resample(differences, resamples);
        var interval = Interval(differences, means, level);
        var observed = interval.Mean;
        var against = means.Count(m => observed >= 0 ? m <= Slack : m >= -Slack);
        var asFar = means.Count(m => Math.Abs(m - observed) >= Math.Abs(observed) - Slack);
        return new PairedDifference(interval, (double)against / resamples, (double)asFar / resamples);
    }

    private static MeanInterval Interval(IReadOnlyList<double> values, double[] sortedMeans, double level) =>
        new(values.Average(), Quantile(sortedMeans, (1 - level) / 2), Quantile(sortedMeans, 1 - (1 - level) / 2));

    private static double[] Resample(IReadOnlyList<double> values, int resamples)
    {
        if (values.Count == 0) throw new ArgumentException("there are no scores to draw from", nameof(values));
        var random = new Random(Seed);
        var means = new double[resamples];
        for (var r = 0; r < resamples; r++)
        {
            double sum = 0;
            for (var i = 0; i < values.Count; i++) sum += values[random.Next(values.Count)];
            means[r] = sum / values.Count;
        }
        Array.Sort(means);
        return means;
    }

    private static double Quantile(double[] sorted, double share)
    {
        var place = share * (sorted.Length - 1);
        var below = (int)place;
        var above = Math.Min(below + 1, sorted.Length - 1);
        return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
    }
}
