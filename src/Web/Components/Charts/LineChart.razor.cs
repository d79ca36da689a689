using System.Globalization;
using Microsoft.AspNetCore.Components;

namespace TokenMill.Web.Components.Charts;

/// <summary>
/// Lines over a common x axis. Drawn on the server as one SVG that stretches with the page, while labels stay text of the page.
/// Hovering a column shows every line's value there; that is style only, so it costs no round trip.
/// </summary>
public sealed partial class LineChart
{
    private const int MaxPointsPerLine = 400;
    private const int Columns = 60;

    private IReadOnlyList<Line> _lines = [];
    private IReadOnlyList<Column> _columns = [];
    private ChartScale _x = ChartScale.Between(0, 1, 4), _y = ChartScale.Between(0, 1, 4);

    [Parameter, EditorRequired] public string Title { get; set; } = "";
    [Parameter, EditorRequired] public IReadOnlyList<ChartSeries> Series { get; set; } = [];

    /// <summary>What x counts, such as steps.</summary>
    [Parameter] public string XUnit { get; set; } = "";

    /// <summary>How x is written, where it is not a plain number.</summary>
    [Parameter] public Func<double, string>? XText { get; set; }

    /// <summary>Where x begins; else at 0 or the first value.</summary>
    [Parameter] public double? XStart { get; set; }

    /// <summary>Where x will end, so that the line grows into the free place; else where the data ends.</summary>
    [Parameter] public double? XEnd { get; set; }

    /// <summary>A dashed line at this x, such as where a run is now.</summary>
    [Parameter] public double? Mark { get; set; }
    [Parameter] public bool Logarithmic { get; set; }

    /// <summary>Draws what was measured, without the moving averages.</summary>
    [Parameter] public bool Raw { get; set; }
    [Parameter] public int Height { get; set; } = 220;

    /// <summary>When data will come.</summary>
    [Parameter, EditorRequired] public string EmptySentence { get; set; } = "";

    /// <summary>Small buttons at the right of the title.</summary>
    [Parameter] public RenderFragment? Controls { get; set; }

    private bool IsEmpty => Series.All(s => s.Points.Count == 0);

    private string Spoken => IsEmpty ? EmptySentence : string.Join(", ", Series.Where(s => s.Points.Count > 0).Select(s => $"{s.Name} {Text(s, s.Points[^1].Y)}"));

    /// <summary>Round places, and in any case the end.</summary>
    private IEnumerable<double> XTicks => _x.Ticks.Where(tick => _x.Place(tick) < 0.8).Append(_x.High);

    private string XLabel(double x) => XText?.Invoke(x) ?? Display.Number(x);

    /// <summary>Counts in full, measures by the digits that matter.</summary>
    private string Text(ChartSeries series, double y) => series.Points.All(p => double.IsInteger(p.Y)) ? Display.Number(y) : Display.Significant(y);

    private string YLabel(double y) => Math.Abs(y) >= 1e4 ? Display.Short(y) : _y.Decimals > 4 ? Display.Significant(y) : Display.Plain(y, _y.Decimals);

    protected override void OnParametersSet()
    {
        var points = Series.SelectMany(s => s.Points).ToList();
        _y = ChartScale.Around(points.Select(p => p.Y), 4, Logarithmic);
        var start = XStart ?? (points.Count == 0 ? 0 : Math.Min(0, points.Min(p => p.X)));
        var end = points.Count == 0 ? XEnd ?? start + 1 : points.Max(p => p.X);
        _x = ChartScale.Between(start, XEnd is { } planned ? Math.Max(planned, end) : end, 4);
        _lines = [.. Series.Where(s => s.Points.Count > 0).SelectMany(Draw)];
        _columns = IsEmpty ? [] : [.. Enumerable.Range(0, Columns).Select(Values).OfType<Column>()];
    }

    private IEnumerable<Line> Draw(ChartSeries series)
    {
        var points = series.Points.Where(p => _y.Shows(p.Y)).ToList();
        var smooth = series.Smooth && !Raw && points.Count > 2;
        yield return new Line(Curve.Path(Curve.Thin(points, MaxPointsPerLine), _x, _y), series.Color, Faint: smooth);
        if (smooth) yield return new Line(Curve.Path(Curve.Thin(Curve.Smooth(points), MaxPointsPerLine), _x, _y), series.Color, Faint: false);
    }

    private Column? Values(int index)
    {
        var (left, width) = (index / (double)Columns, 1.0 / Columns);
        var values = new List<(string, int, string)>();
        double? x = null;
        foreach (var series in Series.Where(s => s.Points.Count > 0))
        {
            var nearest = series.Points.MinBy(p => Math.Abs(_x.Place(p.X) - (left + width / 2)));
            if (Math.Abs(_x.Place(nearest.X) - (left + width / 2)) > 0.08) continue;
            values.Add((series.Name, series.Color, Text(series, nearest.Y)));
            x ??= nearest.X;
        }
        return x is { } at ? new Column(left, width, at, values) : null;
    }

    private static string Percent(double share) => (share * 100).ToString("0.##", CultureInfo.InvariantCulture) + "%";

    private sealed record Line(string Path, int Color, bool Faint);

    private sealed record Column(double Left, double Width, double X, IReadOnlyList<(string Name, int Color, string Value)> Values);
}
