using TokenMill.Web.Features.FineTuning.Charts;

namespace TokenMill.Web.Tests.FineTuning;

public sealed class ChartSeriesTests
{
    [Fact]
    public void Smooth_OfAConstant_IsThatConstantFromTheFirstPoint()
    {
        var points = Enumerable.Range(0, 300).Select(i => new ChartPoint(i, 2.5)).ToList();
        Assert.All(ChartSeries.Smooth(points), p => Assert.Equal(2.5, p.Value, 12));
    }

    [Fact]
    public void Thin_KeepsEndsSpikesAndOrder_WithinTheLimit()
    {
        var random = new Random(7);
        var points = Enumerable.Range(0, 10_000).Select(i => new ChartPoint(i, i == 5_003 ? 99 : random.NextDouble())).ToList();
        var thin = ChartSeries.Thin(points, 400);
        Assert.InRange(thin.Count, 300, 400);
        Assert.Equal(points[0], thin[0]);
        Assert.Equal(points[^1], thin[^1]);
        Assert.Contains(points[5_003], thin);
        Assert.Equal(thin.OrderBy(p => p.Step), thin);
        Assert.Equal(thin.Count, thin.Distinct().Count());
    }

    [Theory]
    [InlineData(1.3, 3.9, 5, new[] { 1.5, 2, 2.5, 3, 3.5 })]
    [InlineData(0, 640, 4, new[] { 0.0, 200, 400, 600 })]
    [InlineData(-0.3, 0.3, 3, new[] { -0.2, 0, 0.2 })]
    [InlineData(5, 5, 3, new double[0])]
    public void Ticks_AreRoundAndInside(double low, double high, int wanted, double[] expected)
    {
        var ticks = ChartSeries.Ticks(low, high, wanted);
        Assert.Equal(expected.Length, ticks.Count);
        foreach (var (e, t) in expected.Zip(ticks)) Assert.Equal(e, t, 9);
    }

    [Fact]
    public void Path_MapsTheCornersOfTheScale()
    {
        var path = ChartSeries.Path([new(0, 4), new(10, 2)], new ChartScale(0, 10), new ChartScale(2, 4));
        Assert.Equal("M0 0L1000 1000", path);
    }

    [Fact]
    public void Scale_OfUnusableValues_IsStillAScale()
    {
        var scale = ChartScale.Around([double.NaN, double.PositiveInfinity]);
        Assert.True(scale.High > scale.Low);
        Assert.InRange(ChartScale.Around([3, 3]).Share(3), 0.4, 0.6);
        Assert.Equal(0.5, new ChartScale(1, 100, true).Share(10), 9);
    }
}
