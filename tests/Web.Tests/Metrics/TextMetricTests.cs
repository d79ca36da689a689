using TokenMill.Web.Features.Evaluation.Metrics;

namespace TokenMill.Web.Tests.Metrics;

public sealed class TextMetricTests
{
    private static readonly ScoredText[] Items =
    [
        new("the cat sat on the mat", ["the cat sat on the mat"]),
        new("a dog", ["the quick brown fox", "a cat"]),
        new("", ["something"]),
    ];

    [Fact]
    public void EveryName_ScoresAPerfectAnswerHighestAndAnEmptyOneZero()
    {
        foreach (var metric in TextMetric.Names.Where(n => n != "json_valid").Select(n => TextMetric.Find(n)!))
        {
            var full = metric.Name is "bleu" or "chrf" or "chrf++" ? 100 : 1;
            Assert.Equal(full, metric.Score(Items[0]), 1e-9);
            Assert.Equal(0, metric.Score(Items[2]));
            Assert.InRange(metric.Total(Items, [.. Items.Select(metric.Score)]), 0.2 * full, 0.9 * full);
        }
        Assert.Null(TextMetric.Find("nope"));
    }

    [Theory]
    [InlineData("{\"a\": [1, null]}", 1)]
    [InlineData(" 3 ", 1)]
    [InlineData("{'a': 1}", 0)]
    [InlineData("```json\n{}\n```", 0)]
    [InlineData("{\"a\": 1,}", 0)]
    [InlineData("NaN", 0)]
    [InlineData("", 0)]
    public void JsonValid_TakesJsonAndNothingElse(string prediction, double expected) => Assert.Equal(expected, JsonValidity.Score(prediction));

    [Fact]
    public void Total_OfBleu_AddsUpCountsInsteadOfAveraging()
    {
        var bleu = TextMetric.Find("bleu")!;
        var scores = Items.Select(bleu.Score).ToList();
        Assert.True(Math.Abs(bleu.Total(Items, scores) - scores.Average()) > 1);
    }

    [Fact]
    public void Difference_OfBetterAnswersOnTheSameItems_ExcludesZero()
    {
        var worse = Enumerable.Range(0, 100).Select(i => i % 10 / 10.0).ToList();
        var better = worse.Select((score, i) => score + (i % 3 == 0 ? 0.1 : 0.05)).ToList();
        var difference = Bootstrap.Difference(better, worse);
        Assert.True(difference.Interval.Low > 0.04 && difference.Interval.High < 0.1);
        Assert.True(difference.POneSided < 0.001);
        Assert.Equal(difference, Bootstrap.Difference(better, worse));
        Assert.Throws<ArgumentException>(() => Bootstrap.Difference(better, [1]));
    }
}
