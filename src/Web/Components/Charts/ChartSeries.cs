namespace TokenMill.Web.Components.Charts;

public readonly record struct ChartPoint(double X, double Y);

/// <summary>One line of a chart, in order of x. <see cref="Smooth"/>: a moving average is drawn over the faint raw values.</summary>
/// <param name="Name">Already in the reader's language.</param>
/// <param name="Color">1…6: --s1 … --s6, in order.</param>
public sealed record ChartSeries(string Name, int Color, IReadOnlyList<ChartPoint> Points)
{
    public bool Smooth { get; init; }

    /// <summary>Beside the colour above the plot; else the name and the last value.</summary>
    public string? Legend { get; init; }
}
