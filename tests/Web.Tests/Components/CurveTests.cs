using TokenMill.Web.Components.Charts;

namespace TokenMill.Web.Tests.Components;

public sealed class CurveTests
{
    [Fact]
    public void Smooth_OfAConstant_IsThatConstantFromTheFirstPoint()
    {
        var points = Enumerable.Range(0, 300).Select(i => new ChartPoint(i, 2.5)).ToList();
        Assert.All(Curve.Smooth(points), p => Assert.Equal(2.5, p.Y, 12));
    }

    [Fact]
    public void Thin_KeepsEndsSpikesAndOrder_WithinTheLimit()
    {
        var random = new Random(7);
        var points = Enumerable.Range(0, 10_000).Select(i => new ChartPoint(i, i == 5_003 ? 99 : random.NextDouble())).ToList();
        var thin = Curve.Thin(points, 400);
        Assert.InRange(thin.Count, 300, 400);
        Assert.Equal(points[0], thin[0]);
        Assert.Equal(points[^1], thin[^1]);
        Assert.Contains(points[5_003], thin);
        Assert.Equal(thin.OrderBy(p => p.X), thin);
        Assert.Equal(thin.Count, thin.Distinct().Count());
    }

    [Fact]
    public void Path_MapsTheCornersOfTheScale()
    {
        var path = Curve.Path([new(0, 4), new(10, 2)], ChartScale.Between(0, 10, 2), ChartScale.Between(2, 4, 2));
        Assert.Equal("M0 0L1000 1000", path);
    }
}
