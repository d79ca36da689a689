using FsCheck;
using FsCheck.Fluent;
using TokenMill.Training.Data;

namespace TokenMill.Training.Tests.Data;

public sealed class EpochOrderTests
{
    [Fact]
    public void Step_OverAnEpoch_VisitsEachExampleAsOftenAsItsWeight() =>
        Prop.ForAll(Gen.Choose(1, 60).ToArbitrary(), Gen.Choose(1, 9).ToArbitrary(), Gen.Choose(0, 3).ToArbitrary(), (count, perStep, weight) =>
        {
            var order = new EpochOrder([new(0, count, 1), new(count, 7, weight)], perStep, shuffle: true, seed: 5);
            for (var epoch = 0; epoch < 3; epoch++)
            {
                var visits = Visits(order, epoch).CountBy(i => i).ToDictionary();
                Assert.All(Enumerable.Range(0, count), i => Assert.Equal(1, visits[i]));
                Assert.All(Enumerable.Range(count, 7), i => Assert.Equal(weight, visits.GetValueOrDefault(i)));
            }
        }).QuickCheckThrowOnFailure();

    /// <summary>A resumed run asks a new order for its next step; it must see what the uninterrupted run would have seen.</summary>
    [Fact]
    public void Step_AskedAnew_IsTheSame()
    {
        EpochOrder New() => new([new(0, 103, 1), new(103, 50, 0.4)], 8, shuffle: true, seed: 42);
        var whole = New();
        for (var step = 0; step < whole.StepsPerEpoch * 3; step++)
        {
            var expected = whole.Step(step).ToArray();
            Assert.Equal(expected, New().Step(step).ToArray());
        }
        Assert.Equal(whole.Step(3).ToArray(), whole.Step(3).ToArray());          // back over an epoch's border too
    }

    [Fact]
    public void Step_Shuffled_DiffersByEpochAndSeed()
    {
        EpochOrder New(long seed) => new([new(0, 100, 1)], 100, shuffle: true, seed);
        Assert.NotEqual(New(1).Step(0).ToArray(), New(1).Step(1).ToArray());
        Assert.NotEqual(New(1).Step(0).ToArray(), New(2).Step(0).ToArray());
    }

    [Fact]
    public void Step_NotShuffled_IsTheOrderOfTheFile()
    {
        var order = new EpochOrder([new(0, 10, 1)], 4, shuffle: false, seed: 1);
        Assert.Equal(3, order.StepsPerEpoch);
        Assert.Equal([4, 5, 6, 7], order.Step(1).ToArray());
        Assert.Equal([8, 9], order.Step(2).ToArray());
        Assert.Equal([0, 1, 2, 3], order.Step(3).ToArray());
    }

    [Fact]
    public void Step_FractionalWeight_DrawsOthersEachEpoch()
    {
        var order = new EpochOrder([new(0, 40, 0.25)], 10, shuffle: true, seed: 3);
        Assert.Equal(10, order.ExamplesPerEpoch);
        var epochs = Enumerable.Range(0, 12).Select(epoch => Visits(order, epoch)).ToList();
        Assert.All(epochs, visited => Assert.Equal(10, visited.Distinct().Count()));
        Assert.InRange(epochs.SelectMany(v => v).Distinct().Count(), 30, 40);
    }

    private static List<int> Visits(EpochOrder order, int epoch)
    {
        var visits = new List<int>();
        for (var step = 0; step < order.StepsPerEpoch; step++) visits.AddRange(order.Step(epoch * order.StepsPerEpoch + step).ToArray());
        return visits;
    }
}
