using System.Globalization;
using System.Net;
using System.Text;

namespace TokenMill.Serving.Quantization;

/// <summary>A report as a page that needs nothing else: the table, and each variant as a point of speed and divergence.</summary>
internal static class PrecisionPage
{
    private const int Width = 640, Height = 320, Margin = 60;

    private const string Style = """
        body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
        table { border-collapse: collapse; width: 100% } th, td { padding: .35rem .75rem; text-align: right; border-bottom: 1px solid #ddd }
        th:first-child, td:first-child { text-align: left } svg text { font-size: 12px; fill: #222 }
        """;

    public static string Of(PrecisionReport report)
    {
        var page = new StringBuilder();
        var title = WebUtility.HtmlEncode($"Precision and speed of {report.Model}");
        page.Append(CultureInfo.InvariantCulture, $"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{Style}</style></head><body>\n<h1>{title}</h1>\n");
        page.Append(CultureInfo.InvariantCulture, $"<p>{report.ScoredTokens:N0} tokens of {report.Examples:N0} examples of {WebUtility.HtmlEncode(report.Data)}, {report.Threads} threads. Perplexity: lower is better. KL divergence (nats) and top-1 agreement compare each prediction with the original's.</p>\n");
        page.Append("<table><tr><th>Type</th><th>MB</th><th>Tokens/s</th><th>Prompt tokens/s</th><th>Perplexity</th><th>KL divergence</th><th>Top-1 agreement</th></tr>\n");
        foreach (var v in report.Variants.Prepend(report.Original))
            page.Append(CultureInfo.InvariantCulture, $"<tr><td>{WebUtility.HtmlEncode(v.Type)}</td><td>{v.SizeBytes / 1e6:0.0}</td><td>{v.TokensPerSecond:0.0}</td><td>{v.PromptTokensPerSecond:0}</td><td>{v.Perplexity:0.000}</td><td>{v.KlDivergence:0.00000}</td><td>{v.Top1Agreement:P1}</td></tr>\n");
        page.Append("</table>\n");
        Chart(page, [.. report.Variants.Prepend(report.Original)]);
        return page.Append("</body></html>\n").ToString();
    }

    private static void Chart(StringBuilder page, MeasuredVariant[] variants)
    {
        var fastest = variants.Max(v => v.TokensPerSecond);
        var farthest = Math.Max(variants.Max(v => v.KlDivergence), 1e-9);
        page.Append(CultureInfo.InvariantCulture, $"<h2>Right is faster, low is nearer to the original</h2>\n<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"KL divergence against tokens per second\">");
        page.Append(CultureInfo.InvariantCulture, $"<path d=\"M{Margin} 20V{Height - Margin}H{Width - 20}\" fill=\"none\" stroke=\"#888\"/>");
        page.Append(CultureInfo.InvariantCulture, $"<text x=\"{Width - 20}\" y=\"{Height - 25}\" text-anchor=\"end\">tokens/s, up to {fastest:0}</text><text x=\"{Margin + 6}\" y=\"16\">KL divergence, up to {farthest:0.00000}</text>");
        foreach (var v in variants)
        {
            var x = Margin + v.TokensPerSecond / fastest * (Width - Margin - 110);
            var y = Height - Margin - Math.Max(0, v.KlDivergence) / farthest * (Height - Margin - 40);
            page.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{x:0.0}\" cy=\"{y:0.0}\" r=\"5\" fill=\"#2563eb\"/><text x=\"{x + 9:0.0}\" y=\"{y + 4:0.0}\">{WebUtility.HtmlEncode(v.Type)}</text>");
        }
        page.Append("</svg>\n");
    }
}
