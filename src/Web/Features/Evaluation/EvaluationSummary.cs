using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Web.Features.Evaluation.Metrics;

namespace TokenMill.Web.Features.Evaluation;

/// <summary>A metric over all items: base, tuned, and their difference with its 95 % interval.</summary>
public sealed record MetricSummary(string Name, double Base, double Tuned, double Low, double High)
{
    public double Difference => Tuned - Base;

    /// <summary>Chance alone does not explain it.</summary>
    public bool IsSure => Low > 0 || High < 0;
}

/// <summary>What an evaluation found, metric by metric; stored with it.</summary>
public sealed record EvaluationSummary(IReadOnlyList<MetricSummary> Metrics)
{
    public int Version { get; init; } = 1;

    /// <summary>Of the items that were scored; there is at least one.</summary>
    public static EvaluationSummary Of(IReadOnlyList<EvaluationItem> items)
    {
        var scores = items.Select(i => JsonNode.Parse(i.ScoresJson)!).ToList();
        var metrics = EvaluationJob.Metrics.Select(metric => Summarise(metric, [.. scores.Select(s => Value(s, "base", metric))], [.. scores.Select(s => Value(s, "tuned", metric))])).ToList();
        metrics.Add(Summarise("log_likelihood", [.. items.Select(i => i.BaseLogLikelihood ?? 0)], [.. items.Select(i => i.TunedLogLikelihood ?? 0)]));
        return new EvaluationSummary(metrics);
    }

    public static EvaluationSummary? Parse(string? json) => json is null ? null : Json.Deserialize<EvaluationSummary>(json);

    private static double Value(JsonNode scores, string who, string metric) => scores[who]![metric]!.GetValue<double>();

    private static MetricSummary Summarise(string name, double[] first, double[] tuned)
    {
        var difference = Bootstrap.Difference(tuned, first).Interval;
        return new MetricSummary(name, first.Average(), tuned.Average(), difference.Low, difference.High);
    }
}
