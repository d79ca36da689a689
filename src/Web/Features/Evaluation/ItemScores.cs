using System.Globalization;
using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Features.Evaluation;

/// <summary>The scores of an item, base and tuned, by the metric's name; the likelihood of the reference among them.</summary>
public sealed record ItemScores(IReadOnlyList<(string Metric, double Base, double Tuned)> All)
{
    public static ItemScores Of(EvaluationItem item)
    {
        var scores = JsonNode.Parse(item.ScoresJson)!;
        double Value(string who, string metric) => scores[who]![metric]!.GetValue<double>();
        return new([.. EvaluationJob.Metrics.Select(m => (m, Value("base", m), Value("tuned", m))), ("log_likelihood", item.BaseLogLikelihood ?? 0, item.TunedLogLikelihood ?? 0)]);
    }

    public double Difference(string metric) => All.Where(s => s.Metric == metric).Sum(s => s.Tuned - s.Base);

    public static string Title(string metric) => metric switch { "f1" => "Token F1", "rougeL" => "ROUGE-L", "exact_match" => "Exact match", _ => "Log-likelihood a token" };

    public static string Plain(double value) => value.ToString("0.000;−0.000;0.000", CultureInfo.CurrentCulture);

    public static string Signed(double value) => value.ToString("+0.000;−0.000;0.000", CultureInfo.CurrentCulture);
}
