using System.Globalization;
using Microsoft.AspNetCore.Components;

namespace TokenMill.Web.Features.FineTuning.Charts;

public enum ChartView { Smooth, Raw, Log }

/// <summary>
/// Training and validation loss over the whole run. The lines are stretched into the plot while texts lie above it unstretched,
/// so it is sharp at any width; the values under the pointer are there without a script, in columns of their own.
/// </summary>
public sealed partial class LossChart
{
    private const int MaxPoints = 400, MaxBuckets = 100;

    private static readonly (ChartView, string)[] Views = [(ChartView.Smooth, "Smooth"), (ChartView.Raw, "Raw"), (ChartView.Log, "Log")];

    private IReadOnlyList<ChartPoint> _raw = [], _smooth = [];
    private IReadOnlyList<double> _ticks = [], _stepTicks = [];
    private IReadOnlyList<Bucket> _buckets = [];
    private ChartScale _x, _y;

    [Parameter, EditorRequired] public IReadOnlyList<ChartPoint> Loss { get; set; } = [];
    [Parameter, EditorRequired] public IReadOnlyList<ChartPoint> Validation { get; set; } = [];
    [Parameter, EditorRequired] public int TotalSteps { get; set; }

    /// <summary>When there will be something to see.</summary>
    [Parameter, EditorRequired] public string EmptyText { get; set; } = "";
    [Parameter] public ChartView View { get; set; }
    [Parameter] public EventCallback<ChartView> ViewChanged { get; set; }

    private string Summary => Loss.Count == 0
        ? EmptyText
        : L["Loss from {0} at step {1} to {2} at step {3}", Display.Significant(Loss[0].Value), Display.Number(Loss[0].Step), Display.Significant(_smooth[^1].Value), Display.Number(Loss[^1].Step)];

    protected override void OnParametersSet()
    {
        var smooth = ChartSeries.Smooth(Loss);
        _smooth = ChartSeries.Thin(smooth, MaxPoints);
        _raw = ChartSeries.Thin(Loss, MaxPoints);
        _x = new ChartScale(0, Math.Max(1, Math.Max(TotalSteps, Loss.Count == 0 ? 0 : Loss[^1].Step)));
        _y = ChartScale.Around(Loss.Concat(Validation).Select(p => p.Value), View == ChartView.Log);
        _ticks = ChartSeries.Ticks(_y.Low, _y.High, 5);
        _stepTicks = [.. ChartSeries.Ticks(0, _x.High, 4).Where(t => t < _x.High * 0.88)];
        _buckets = BucketsOf(smooth);
    }

    private List<Bucket> BucketsOf(IReadOnlyList<ChartPoint> smooth)
    {
        var buckets = new List<Bucket>();
        var steps = Math.Max(1, _x.High / MaxBuckets);
        for (var i = 0; i < Loss.Count;)
        {
            var slot = Math.Floor((Loss[i].Step - 1) / steps);
            var last = i;
            while (last + 1 < Loss.Count && Math.Floor((Loss[last + 1].Step - 1) / steps) == slot) last++;
            var at = Loss[last];
            var validation = Validation.LastOrDefault(v => v.Step <= at.Step && v.Step > at.Step - steps);
            buckets.Add(new(_x.Share(slot * steps + 0.5 * Math.Min(1, steps)), steps / _x.High, at.Step, at.Value, View == ChartView.Raw ? null : smooth[last].Value, validation == default ? null : validation.Value));
            i = last + 1;
        }
        return buckets;
    }

    private static string F(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);

    /// <summary>A column under the pointer, as shares of the width, and the values at its last step.</summary>
    private sealed record Bucket(double From, double Width, double Step, double Loss, double? Smooth, double? Validation);
}
