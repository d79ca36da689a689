using System.Globalization;
using System.Text;

namespace TokenMill.Serving.LoadTest;

/// <summary>What a request must keep to count as good; null: anything will do.</summary>
public sealed record ServiceObjectives(double? TtftMs, double? TpotMs, double? E2eMs);

/// <summary>Percentiles interpolate linearly between the two nearest values.</summary>
public sealed record Distribution(double Mean, double P50, double P95, double P99, double Max)
{
    /// <summary>Null where there is nothing to describe.</summary>
    public static Distribution? OfSeconds(IEnumerable<double> seconds)
    {
        var sorted = seconds.Select(s => s * 1000).Order().ToArray();
        return sorted.Length == 0 ? null : new Distribution(sorted.Average(), At(0.5), At(0.95), At(0.99), sorted[^1]);

        double At(double share)
        {
            var place = share * (sorted.Length - 1);
            var below = (int)place;
            return below + 1 == sorted.Length ? sorted[below] : sorted[below] + (place - below) * (sorted[below + 1] - sorted[below]);
        }
    }
}

/// <summary>A load test in numbers. Goodput: requests a second that kept every objective.</summary>
public sealed record LoadReport
{
    public required string Url { get; init; }
    public required string Model { get; init; }
    public required double? RatePerSecond { get; init; }
    public required int? Clients { get; init; }
    public required int Seed { get; init; }
    public required int Requests { get; init; }
    public required int Completed { get; init; }
    public required IReadOnlyDictionary<string, int> Failures { get; init; }
    public required double DurationSeconds { get; init; }
    public required int PromptTokens { get; init; }
    public required int OutputTokens { get; init; }
    public required double RequestsPerSecond { get; init; }
    public required double OutputTokensPerSecond { get; init; }
    public required ServiceObjectives Objectives { get; init; }
    public required double GoodputRequestsPerSecond { get; init; }
    public required Distribution? TtftMs { get; init; }
    public required Distribution? TpotMs { get; init; }
    public required Distribution? ItlMs { get; init; }
    public required Distribution? E2eMs { get; init; }

    internal static LoadReport Of(Uri url, string model, LoadPlan plan, ServiceObjectives objectives, IReadOnlyList<RequestTimes> requests)
    {
        var done = requests.Where(r => r.Failure is null).ToList();
        var duration = Math.Max(requests.Max(r => r.End), 1e-9);
        return new LoadReport
        {
            Url = url.ToString(), Model = model, RatePerSecond = plan.RatePerSecond, Clients = plan.RatePerSecond is null ? plan.Clients : null, Seed = plan.Seed,
            Requests = requests.Count, Completed = done.Count,
            Failures = requests.Where(r => r.Failure is not null).GroupBy(r => r.Failure!).OrderBy(g => g.Key, StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.Count()),
            DurationSeconds = duration, PromptTokens = done.Sum(r => r.PromptTokens), OutputTokens = done.Sum(r => r.OutputTokens),
            RequestsPerSecond = done.Count / duration, OutputTokensPerSecond = done.Sum(r => r.OutputTokens) / duration,
            Objectives = objectives, GoodputRequestsPerSecond = done.Count(r => Keeps(r, objectives)) / duration,
            TtftMs = Distribution.OfSeconds(done.Select(r => r.Ttft)),
            TpotMs = Distribution.OfSeconds(done.Select(r => r.Tpot).OfType<double>()),
            ItlMs = Distribution.OfSeconds(done.SelectMany(r => r.InterTokenLatencies)),
            E2eMs = Distribution.OfSeconds(done.Select(r => r.EndToEnd)),
        };
    }

    public string ToText()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{Completed} of {Requests} requests completed in {DurationSeconds:0.0} s: {RequestsPerSecond:0.00} requests/s, {OutputTokensPerSecond:0.0} tokens/s ({PromptTokens:N0} in, {OutputTokens:N0} out), goodput {GoodputRequestsPerSecond:0.00} requests/s\n");
        foreach (var (failure, count) in Failures) text.Append(CultureInfo.InvariantCulture, $"failed, {failure}: {count}\n");
        text.Append(CultureInfo.InvariantCulture, $"{"ms",-6}{"mean",10}{"p50",10}{"p95",10}{"p99",10}{"max",10}\n");
        foreach (var (name, values) in new[] { ("TTFT", TtftMs), ("TPOT", TpotMs), ("ITL", ItlMs), ("E2E", E2eMs) })
            if (values is { } v) text.Append(CultureInfo.InvariantCulture, $"{name,-6}{v.Mean,10:0.0}{v.P50,10:0.0}{v.P95,10:0.0}{v.P99,10:0.0}{v.Max,10:0.0}\n");
        return text.ToString();
    }

    private static bool Keeps(RequestTimes request, ServiceObjectives objectives) =>
        !(request.Ttft * 1000 > objectives.TtftMs) && !(request.Tpot * 1000 > objectives.TpotMs) && !(request.EndToEnd * 1000 > objectives.E2eMs);
}
