namespace TokenMill.Benchmarks;

internal static class Median
{
    public static double Of(IEnumerable<double> values) => values.Order().ToList() is { Count: > 0 } sorted ? (sorted[(sorted.Count - 1) / 2] + sorted[sorted.Count / 2]) / 2 : double.NaN;
}
