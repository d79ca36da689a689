using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using TokenMill.Shared;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.JsonLines;
using TokenMill.Shared.Llama;
using TokenMill.Web.Features.Datasets;

namespace TokenMill.Web.Commands;

/// <summary><c>validate</c>: what is wrong with the rows of a file, and what is worth knowing about them.</summary>
public static class ValidateCommand
{
    private const int ShownFindings = 20;

    public static Command Command { get; } = new("validate",
        "validate FILE [--format auto|messages|alpaca|sharegpt|preference|text|csv] [--map ROLE=COLUMN …] [--model MODEL] [--max-tokens N] [--against TRAIN] [--json [FILE]]", RunAsync);

    private static async Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var format = arguments.Option("--format") ?? "auto";
        var map = Map(arguments.Pairs("--map"));
        var model = arguments.Option("--model");
        var maxTokens = arguments.Int("--max-tokens");
        var against = arguments.Option("--against");
        var file = arguments.Positional("FILE");
        var json = arguments.Json();
        arguments.End();
        if (format != "auto" && !DatasetReader.Formats.Contains(format)) throw new UsageException($"--format is auto or one of {string.Join(", ", DatasetReader.Formats)}");
        if (maxTokens is < 1) throw new UsageException("--max-tokens is at least 1");
        if (model is not null) model = await ModelPath.ResolveAsync(model, cancellationToken);
        foreach (var path in new[] { file, against, model })
            if (path is not null && !File.Exists(path)) throw new RefusedException("file-not-found", $"{path} does not exist", "check the path");

        var options = new DatasetReaderOptions { Format = format, Map = map, Against = against };
        if (maxTokens is { } limit) options = options with { ContextTokens = limit };
        var report = await CheckAsync(file, options, model, maxTokens, cancellationToken);

        if (json is { Length: > 0 }) await File.WriteAllTextAsync(json, Serialize(report) + "\n", cancellationToken);
        else await Console.Out.WriteLineAsync(json is null ? Describe(file, report) : Serialize(report));
        if (report.Accepted) return CommandLineHost.Done;
        var first = report.Errors[0];
        await Console.Error.WriteLineAsync($"error: {first.Code}: {(first.Row is { } row ? $"no row of the file can be used; row {row}: " : "")}{first.Message}");
        return CommandLineHost.Refused;
    }

    private static async Task<DatasetReport> CheckAsync(string file, DatasetReaderOptions options, string? model, int? maxTokens, CancellationToken cancellationToken)
    {
        using var counter = new Counter();
        if (!Console.IsErrorRedirected) options = options with { Progress = counter };
        return model is null
            ? DatasetReader.Check(file, options, cancellationToken)
            : await CheckWithModel.RunAsync(file, options, model, maxTokens, TimeProvider.System, cancellationToken);
    }

    private static Dictionary<string, string> Map(IReadOnlyList<(string Role, string Column)> pairs)
    {
        if (pairs.FirstOrDefault(p => p.Role is not ("user" or "assistant" or "system")).Role is { } role)
            throw new UsageException($"--map takes the roles user, assistant and system, not '{role}'");
        return pairs.ToDictionary(p => p.Role, p => p.Column);
    }

    /// <summary>The fields of the contract are there even where they are null.</summary>
    private static string Serialize(DatasetReport report) => JsonSerializer.Serialize(report, WithNulls);

    private static JsonSerializerOptions WithNulls { get; } = new(Json.Options) { DefaultIgnoreCondition = JsonIgnoreCondition.Never };

    private static string Describe(string file, DatasetReport report)
    {
        var text = new StringBuilder();
        text.Append($"{Path.GetFileName(file)}: {(report.Accepted ? "accepted" : "refused")}, format {report.Format}, {report.Encoding}\n");
        if (report.Rows is { } rows) text.Append($"{report.GoodRows:N0} of {rows:N0} rows are good\n");
        if (report.Tokens is { } tokens)
            text.Append($"{tokens.Total:N0} tokens, {tokens.Supervised:N0} of them learned; a row has {tokens.Shortest:N0} to {tokens.Longest:N0}, median {tokens.Median:N0}, 95 % have at most {tokens.Percentile95:N0}; {tokens.TooLong:N0} rows exceed {tokens.Limit:N0}\n");
        Findings("error", report.Errors, report.ErrorCount);
        Findings("warning", report.Warnings, report.WarningCount);
        if (report.ErrorCount + report.WarningCount > 2 * ShownFindings)
            text.Append("by code: ").AppendJoin(", ", report.Codes.Select(c => $"{c.Key} {c.Value:N0}")).Append("; --json lists more\n");
        return text.ToString().TrimEnd('\n');

        void Findings(string kind, IReadOnlyList<RowFinding> findings, long count)
        {
            if (count > 0) text.Append($"{count:N0} {kind}{(count == 1 ? "" : "s")}\n");
            foreach (var finding in findings.Take(ShownFindings))
                text.Append($"  {(finding.Row is { } row ? $"row {row}" : "file")}{(finding.Field is { } field ? $", {field}" : "")}: {finding.Code}: {finding.Message}\n");
            if (count > ShownFindings) text.Append($"  … and {count - ShownFindings:N0} more\n");
        }
    }

    /// <summary>Rows read so far, on one line of the terminal that is wiped at the end.</summary>
    private sealed class Counter : IProgress<long>, IDisposable
    {
        private bool _shown;

        public void Report(long value)
        {
            Console.Error.Write($"\r{value:N0} rows");
            _shown = true;
        }

        public void Dispose()
        {
            if (_shown) Console.Error.Write("\r\e[K");
        }
    }
}
