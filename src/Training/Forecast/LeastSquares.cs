namespace TokenMill.Training.Forecast;

/// <summary>
/// Coefficients, none negative, that bring Σ coefficient·feature closest to the values, each judged by its relative error: costs never
/// go down with size, and a small pass counts as much as a large one. Coordinate descent; a handful of unknowns.
/// </summary>
internal static class LeastSquares
{
    private const int Sweeps = 20_000;

    public static double[] Fit(IReadOnlyList<(double[] Features, double Value)> samples)
    {
        var count = samples[0].Features.Length;
        var rows = samples.Where(sample => sample.Value > 0).Select(sample => sample.Features.Select(feature => feature / sample.Value).ToArray()).ToList();
        var lengths = Enumerable.Range(0, count).Select(i => rows.Sum(row => row[i] * row[i])).ToArray();
        var coefficients = new double[count];
        var residuals = Enumerable.Repeat(1.0, rows.Count).ToArray();
        for (var sweep = 0; sweep < Sweeps; sweep++)
            for (var i = 0; i < count; i++)
            {
                if (lengths[i] == 0) continue;
                var gradient = 0.0;
                for (var r = 0; r < rows.Count; r++) gradient += rows[r][i] * residuals[r];
                var change = Math.Max(coefficients[i] + gradient / lengths[i], 0) - coefficients[i];
                if (change == 0) continue;
                coefficients[i] += change;
                for (var r = 0; r < rows.Count; r++) residuals[r] -= change * rows[r][i];
            }
        return coefficients;
    }

    public static double Dot(double[] coefficients, double[] features) => coefficients.Zip(features, (coefficient, feature) => coefficient * feature).Sum();
}
