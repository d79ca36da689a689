using System.Diagnostics;
using System.Globalization;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.Deployments;

/// <summary>How an engine does at this moment, from its own /metrics. Times are means over its life; null before the first answer.</summary>
public sealed record EngineMetrics
{
    private const string Prefix = "tokenmill_";

    public int Running { get; private init; }
    public int Waiting { get; private init; }
    public double CacheShare { get; private init; }
    public long GenerationTokens { get; private init; }
    public long PromptTokens { get; private init; }
    public long CachedTokens { get; private init; }
    public double? FirstTokenMs { get; private init; }
    public double? PerTokenMs { get; private init; }
    public long? MemoryBytes { get; private init; }

    /// <summary>Null when the process does not answer.</summary>
    public static async Task<EngineMetrics?> ReadAsync(ServingProcess engine, CancellationToken cancellationToken)
    {
        try
        {
            return Parse(await engine.Client.GetStringAsync("/metrics", cancellationToken)) with { MemoryBytes = MemoryOf(engine.Id) };
        }
        catch (HttpRequestException)
        {
            return null;
        }
    }

    /// <summary>Prometheus' text format, as far as an engine writes it: one unlabelled or model-labelled value a line.</summary>
    public static EngineMetrics Parse(string text)
    {
        var values = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var line in text.Split('\n'))
        {
            if (!line.StartsWith(Prefix, StringComparison.Ordinal) || line.LastIndexOf(' ') is not (> 0 and var space)) continue;
            var nameEnd = line.AsSpan().IndexOfAny('{', ' ');
            values[line[Prefix.Length..nameEnd]] = double.Parse(line.AsSpan(space + 1), CultureInfo.InvariantCulture);
        }
        return new EngineMetrics
        {
            Running = (int)Value("num_requests_running"),
            Waiting = (int)Value("num_requests_waiting"),
            CacheShare = Value("kv_cache_usage_perc"),
            GenerationTokens = (long)Value("generation_tokens_total"),
            PromptTokens = (long)Value("prompt_tokens_total"),
            CachedTokens = (long)Value("prefix_cache_hits_total"),
            FirstTokenMs = MeanMs("time_to_first_token_seconds"),
            PerTokenMs = MeanMs("inter_token_latency_seconds"),
        };

        double Value(string name) => values.GetValueOrDefault(name);

        double? MeanMs(string name) => Value(name + "_count") is > 0 and var count ? Value(name + "_sum") / count * 1000 : null;
    }

    private static long? MemoryOf(int processId)
    {
        try
        {
            using var process = Process.GetProcessById(processId);
            return process.WorkingSet64;
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            return null;                                  // it has just ended
        }
    }
}
