using System.Text.RegularExpressions;
using TokenMill.Shared.Domain;
using TokenMill.Web.Components;
using TokenMill.Web.Components.Charts;
using TokenMill.Web.Lineage;

namespace TokenMill.Web.Tests.Components;

public sealed class ComponentTests
{
    [Fact]
    public async Task LineageRibbon_LinksWhatIsThere_AndSaysWhatIsNot()
    {
        IReadOnlyList<LineageStage> stages =
        [
            new(LineageKind.Dataset, "support v3", "/datasets/1"), new(LineageKind.FineTune, "support-r16 #12", "/fine-tunes/2", IsCurrent: true),
            new(LineageKind.Model), new(LineageKind.Evaluation), new(LineageKind.Deployment), new(LineageKind.Cost),
        ];

        var html = await Rendered.HtmlAsync<LineageRibbon>(new() { ["Stages"] = stages });

        Assert.Equal(2, Regex.Count(html, "<a "));
        Assert.Equal(4, Regex.Count(html, "not yet"));
        Assert.Contains("aria-current=\"step\"", html, StringComparison.Ordinal);
        Assert.Contains("微调", System.Net.WebUtility.HtmlDecode(await Rendered.HtmlAsync<LineageRibbon>(new() { ["Stages"] = stages }, "zh")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task LineageRibbon_OfImportedModel_PromisesNoDatasetAndNoFineTune()
    {
        IReadOnlyList<LineageStage> stages =
        [
            new(LineageKind.Dataset), new(LineageKind.FineTune), new(LineageKind.Model, "base v1", "/models/1", IsCurrent: true),
            new(LineageKind.Evaluation), new(LineageKind.Deployment), new(LineageKind.Cost),
        ];

        var html = await Rendered.HtmlAsync<LineageRibbon>(new() { ["Stages"] = stages });

        Assert.Equal((2, 3), (Regex.Count(html, ">none<"), Regex.Count(html, ">not yet<")));
    }

    [Fact]
    public async Task ErrorNotice_ShowsCodeMessageAndRemedy_AsText()
    {
        var html = await Rendered.HtmlAsync<ErrorNotice>(new() { ["Error"] = new Error("bad-row", "<img src=x onerror=alert(1)>", "mend row 3") });

        Assert.DoesNotContain("<img", html, StringComparison.Ordinal);
        Assert.Contains("Mend row 3.", html, StringComparison.Ordinal);
        Assert.Contains("bad-row", html, StringComparison.Ordinal);
        Assert.Contains("role=\"alert\"", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task LineChart_WithoutData_SaysWhenItWillCome()
    {
        var html = await Rendered.HtmlAsync<LineChart>(new() { ["Title"] = "Loss", ["Series"] = Array.Empty<ChartSeries>(), ["EmptySentence"] = "The first step comes in a minute.", ["XEnd"] = 640.0 });

        Assert.Contains("The first step comes in a minute.", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<path", html, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", html, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(5000, false)]
    [InlineData(5000, true)]
    public async Task LineChart_OfAnyLength_DrawsInsideItsFrame(int count, bool logarithmic)
    {
        var points = Enumerable.Range(1, count).Select(i => new ChartPoint(i, i % 97 == 0 ? double.NaN : 4 / Math.Sqrt(i) + i % 3 * 0.1)).ToList();

        var html = await Rendered.HtmlAsync<LineChart>(new() { ["Title"] = "Loss", ["Series"] = new[] { new ChartSeries("training", 1, points) { Smooth = true } }, ["EmptySentence"] = "", ["Logarithmic"] = logarithmic });

        Assert.DoesNotContain("NaN", html, StringComparison.Ordinal);
        Assert.True(html.Length < 60_000, $"{html.Length} characters for {count} points");
        foreach (Match point in Regex.Matches(html, @"[ML](-?[\d.]+) (-?[\d.]+)"))
        {
            Assert.InRange(double.Parse(point.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture), 0, 1000);
            Assert.InRange(double.Parse(point.Groups[2].Value, System.Globalization.CultureInfo.InvariantCulture), 0, 1000);
        }
    }

    [Theory]
    [InlineData(0.0, 1.0)]
    [InlineData(1.23, 3.9)]
    [InlineData(2.0, 2.0)]
    [InlineData(-5.0, 1e9)]
    [InlineData(0.00001, 0.00002)]
    public void ChartScale_HoldsItsValuesBetweenFewRoundTicks(double low, double high)
    {
        var scale = ChartScale.Around([low, high], 4);

        Assert.InRange(scale.Place(low), 0, 1);
        Assert.InRange(scale.Place(high), 0, 1);
        Assert.InRange(scale.Ticks.Count, 2, 8);
        Assert.Equal(scale.Ticks.Order(), scale.Ticks);
    }

    [Theory]
    [InlineData(FineTuneRunState.Running, "running", "Training", "训练中")]
    [InlineData(FineTuneRunState.Queued, "waiting", "Waiting", "等待中")]
    [InlineData(FineTuneRunState.Failed, "trouble", "Failed", "失败")]
    [InlineData(FineTuneRunState.Succeeded, "good", "Finished", "已完成")]
    public async Task PageHeader_ShowsTheStateByWordAndShape(FineTuneRunState state, string shape, string english, string chinese)
    {
        foreach (var (language, word) in new[] { ("en", english), ("zh", chinese) })
        {
            System.Globalization.CultureInfo.CurrentUICulture = new(language);
            var html = await Rendered.HtmlAsync<StatePill>(new() { ["Tone"] = state.Pill().Tone, ["Text"] = new Web.Localisation.Localizer()[state.Pill().Word].Value }, language);
            Assert.Contains(word, System.Net.WebUtility.HtmlDecode(html), StringComparison.Ordinal);
            Assert.Contains($"pill {shape}", html, StringComparison.Ordinal);
        }
    }
}
