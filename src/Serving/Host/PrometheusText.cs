using System.Globalization;
using System.Text;
using TokenMill.Serving.Scheduler;

namespace TokenMill.Serving.Host;

/// <summary>The engine's counts in Prometheus' text format; names follow vLLM's.</summary>
internal static class PrometheusText
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";
    private const string Prefix = "tokenmill_";

    public static string Write(EngineMetrics metrics, string model)
    {
        var text = new StringBuilder();
        var label = $"model_name=\"{model.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)}\"";
        Single("num_requests_running", "gauge", "requests being computed", metrics.Running);
        Single("num_requests_waiting", "gauge", "requests in the queue", metrics.Waiting);
        ByPriority("num_requests_running_by_priority", "requests being computed, batch ones that pause included", metrics.RunningOf);
        ByPriority("num_requests_waiting_by_priority", "requests in the queue", metrics.WaitingOf);
        Single("kv_cache_usage_perc", "gauge", "share of the cache that running requests hold, 1 is full", Share(metrics.CacheTokensPinned, metrics.CacheTokensCapacity));
        Single("kv_cache_tokens", "gauge", "tokens in the cache, kept prefixes included", metrics.CacheTokensUsed);
        Single("prompt_tokens_total", "counter", "prompt tokens computed", metrics.PromptTokens);
        Single("generation_tokens_total", "counter", "tokens sampled", metrics.GeneratedTokens);
        Single("prefix_cache_queries_total", "counter", "tokens looked up in the prefix cache", metrics.PrefixTokensAsked);
        Single("prefix_cache_hits_total", "counter", "tokens found in the prefix cache", metrics.PrefixTokensFound);
        Single("spec_decode_num_draft_tokens_total", "counter", "tokens of answers guessed ahead", metrics.TokensGuessed);
        Single("spec_decode_num_accepted_tokens_total", "counter", "guessed tokens that were sampled", metrics.GuessesAccepted);
        Single("num_preemptions_total", "counter", "requests put back into the queue for lack of room", metrics.Preemptions);
        Single("adapters_loaded", "gauge", "adapters in memory", metrics.AdaptersLoaded);
        Single("adapter_loads_total", "counter", "adapters read from their files", metrics.AdapterLoads);
        Single("engine_steps_total", "counter", "steps computed", metrics.Steps);
        Header("requests_total", "counter", "requests by their end");
        foreach (var (end, count) in new[] { ("finished", metrics.Finished), ("cancelled", metrics.Cancelled), ("failed", metrics.Failed), ("refused", metrics.Refused) })
            text.Append(CultureInfo.InvariantCulture, $"{Prefix}requests_total{{{label},end=\"{end}\"}} {count}\n");
        Distribution("time_to_first_token_seconds", "arrival to the first token", metrics.TimeToFirstToken);
        Distribution("inter_token_latency_seconds", "time between two tokens of an answer", metrics.InterTokenLatency);
        Distribution("e2e_request_latency_seconds", "arrival to the end of the answer", metrics.RequestLatency);
        Distribution("request_queue_time_seconds", "arrival to the first step", metrics.QueueTime);
        return text.ToString();

        void Header(string name, string type, string help) => text.Append(CultureInfo.InvariantCulture, $"# HELP {Prefix}{name} {help}\n# TYPE {Prefix}{name} {type}\n");

        void Single(string name, string type, string help, double value)
        {
            Header(name, type, help);
            text.Append(CultureInfo.InvariantCulture, $"{Prefix}{name}{{{label}}} {value}\n");
        }

        void ByPriority(string name, string help, Func<RequestPriority, int> count)
        {
            Header(name, "gauge", help);
            foreach (var priority in EngineMetrics.Priorities)
                text.Append(CultureInfo.InvariantCulture, $"{Prefix}{name}{{{label},priority=\"{priority.ToString().ToLowerInvariant()}\"}} {count(priority)}\n");
        }

        void Distribution(string name, string help, Histogram histogram)
        {
            Header(name, "histogram", help);
            var (counts, total) = (histogram.Counts(), 0L);
            for (var i = 0; i < counts.Length; i++)
            {
                total += counts[i];
                var bound = i < histogram.UpperBounds.Count ? histogram.UpperBounds[i].ToString(CultureInfo.InvariantCulture) : "+Inf";
                text.Append(CultureInfo.InvariantCulture, $"{Prefix}{name}_bucket{{{label},le=\"{bound}\"}} {total}\n");
            }
            text.Append(CultureInfo.InvariantCulture, $"{Prefix}{name}_sum{{{label}}} {histogram.Sum}\n{Prefix}{name}_count{{{label}}} {total}\n");
        }
    }

    private static double Share(int part, int whole) => whole == 0 ? 0 : (double)part / whole;
}
