using System.Globalization;
using System.Text;
using System.Text.Json;
using TokenMill.Serving.LoadTest;
using TokenMill.Shared;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats;

namespace TokenMill.Serving.Commands;

/// <summary><c>bench serve</c>: a load test of any OpenAI-compatible server.</summary>
internal static class BenchServeCommand
{
    public static Command Command { get; } = new("bench",
        "bench serve URL [--model NAME] [--api-key K] [--requests 64] [--clients 8 | --rate PER_SECOND] [--max-tokens 64] [--ignore-eos] [--prompt-words 100] [--shared-words 0] [--data D.jsonl] [--seed 1] [--ttft-ms X] [--tpot-ms X] [--e2e-ms X] [--json [F]]", RunAsync);

    private static async Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var objectives = new ServiceObjectives(Positive(arguments, "--ttft-ms"), Positive(arguments, "--tpot-ms"), Positive(arguments, "--e2e-ms"));
        var usual = new LoadPlan();
        var (rate, clients) = (Positive(arguments, "--rate"), Count(arguments, "--clients"));
        if (rate is not null && clients is not null) throw new UsageException("--rate and --clients exclude each other: requests come by the clock, or when answers have come");
        var plan = new LoadPlan
        {
            RatePerSecond = rate,
            Clients = clients ?? usual.Clients,
            Requests = Count(arguments, "--requests") ?? usual.Requests,
            MaxTokens = Count(arguments, "--max-tokens") ?? usual.MaxTokens,
            IgnoreEos = arguments.Flag("--ignore-eos"),
            PromptWords = Count(arguments, "--prompt-words") ?? usual.PromptWords,
            SharedWords = Count(arguments, "--shared-words", least: 0) ?? usual.SharedWords,
            DataPath = arguments.Option("--data"),
            Seed = arguments.Int("--seed") ?? usual.Seed,
        };
        var model = arguments.Option("--model");
        var apiKey = arguments.Option("--api-key") ?? Environment.GetEnvironmentVariable("OPENAI_API_KEY");
        if (arguments.Positional("serve") is not "serve" and var what) throw new UsageException($"'{what}' is no benchmark here");
        var target = arguments.Positional("URL");
        var json = arguments.Json();
        arguments.End();
        if (!Uri.TryCreate(target, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https")) throw new UsageException($"'{target}' is no http address");

        using var client = new LoadClient(url, apiKey, TimeProvider.System);
        model ??= await client.FirstModelAsync(cancellationToken);
        var step = Math.Max(1, plan.Requests / 10);
        var times = await client.RunAsync(plan, model, ended =>
        {
            if (ended % step == 0) Console.Error.WriteLine($"{ended} of {plan.Requests} requests ended");
        }, cancellationToken);
        var report = LoadReport.Of(url, model, plan, objectives, times);
        if (!string.IsNullOrEmpty(json)) AtomicFile.Write(json, file => file.Write(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(report, Json.Indented))));
        await Console.Out.WriteAsync(json == "" ? Json.Serialize(report) + "\n" : report.ToText());
        return report.Completed > 0 ? CommandLineHost.Done
            : throw new RefusedException("no-request-completed", $"all {report.Requests} requests failed: {string.Join(", ", report.Failures.Keys)}", "check the address, the model's name and the key");
    }

    private static int? Count(Arguments arguments, string name, int least = 1) =>
        arguments.Int(name) is not { } value ? null : value >= least ? value : throw new UsageException($"{name} is at least {least}, not {value}");

    private static double? Positive(Arguments arguments, string name) =>
        arguments.Option(name) is not { } text ? null
        : double.TryParse(text, CultureInfo.InvariantCulture, out var value) && value > 0 && double.IsFinite(value) ? value
        : throw new UsageException($"{name} is a number above 0, not '{text}'");
}
