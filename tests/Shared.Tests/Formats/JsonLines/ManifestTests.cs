using System.Diagnostics;
using System.Text.Json;
using TokenMill.Shared.Formats.JsonLines;
using TokenMill.Testing;

namespace TokenMill.Shared.Tests.Formats.JsonLines;

/// <summary>Good and bad files, each with what a sensible product does with it (golden/inputs/manifest.jsonl).</summary>
[Collection(nameof(MeasuresMemory))]
public sealed class ManifestTests(ITestOutputHelper output)
{
    private const string Inputs = "golden/inputs";

    /// <summary>With the format that the user chose, and with the one that the content tells.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Dataset_OfTheManifest_HasTheExpectedOutcome(bool guess)
    {
        var failures = new List<string>();
        var count = 0;
        foreach (var entry in Entries().Where(e => !e.TryGetProperty("generate", out _)))
        {
            count++;
            failures.AddRange(Compare(entry, DatasetReader.Check(Path.Combine(Reference.Locate(Inputs), Text(entry, "file")), Options(entry) with { Format = guess ? "auto" : Text(entry, "format") }, TestContext.Current.CancellationToken)));
        }
        output.WriteLine($"{count} files, {failures.Count} deviations");
        Assert.True(failures.Count == 0, string.Join('\n', failures.Take(40)));
        Assert.True(count > 100);
    }

    /// <summary>Files too big to store: made, read and deleted one after the other; memory must stay flat.</summary>
    [Fact]
    public void Dataset_TooBigToStore_IsReadInFlatMemory()
    {
        var folder = Directory.CreateTempSubdirectory("tokenmill-big-").FullName;
        var failures = new List<string>();
        try
        {
            foreach (var entry in Entries().Where(e => e.TryGetProperty("generate", out _)))
            {
                var path = new GeneratedInput(entry.GetProperty("generate")).WriteTo(folder, Text(entry, "file"));
                GC.Collect();
                var before = Process.GetCurrentProcess().PrivateMemorySize64;
                var peak = before;
                using var sampling = new Timer(_ => peak = Math.Max(peak, Process.GetCurrentProcess().PrivateMemorySize64), null, 0, 50);
                var watch = Stopwatch.StartNew();
                var report = DatasetReader.Check(path, Options(entry), TestContext.Current.CancellationToken);
                output.WriteLine($"{Text(entry, "file")}: {new FileInfo(path).Length / 1e6:F0} MB, {watch.Elapsed.TotalSeconds:F1} s, +{(peak - before) / 1e6:F0} MB, {report.Rows} rows, {report.GoodRows} good, {string.Join(' ', report.Codes)}");
                failures.AddRange(Compare(entry, report));
                // 64 MB for the process; committed memory counts what the collector holds in reserve, so the bound here is looser.
                if (peak - before > 128 << 20) failures.Add($"{Text(entry, "file")}: {(peak - before) / 1e6:F0} MB more memory");
                File.Delete(path);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        Assert.True(failures.Count == 0, string.Join('\n', failures.Take(40)));
    }

    private static IEnumerable<JsonElement> Entries() =>
        File.ReadLines(Reference.Locate($"{Inputs}/manifest.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)
            .Where(e => DatasetReader.Formats.Contains(Text(e, "format")));

    private static DatasetReaderOptions Options(JsonElement entry) => new()
    {
        Format = Text(entry, "format"),
        Map = entry.TryGetProperty("options", out var options) ? options.GetProperty("mapping").EnumerateObject().ToDictionary(m => m.Value.GetString()!, m => m.Name) : [],
        Against = entry.TryGetProperty("with", out var training) ? Path.Combine(Reference.Locate(Inputs), training.GetString()!) : null,
    };

    private static IEnumerable<string> Compare(JsonElement entry, DatasetReport report)
    {
        var name = Text(entry, "file");
        var expect = entry.GetProperty("expect");
        if (expect.TryGetProperty("alt", out var others) && others.EnumerateArray().Any(o => Counts(o, report).Count == 0)) yield break;
        foreach (var difference in Counts(expect, report)) yield return $"{name}: {difference}";

        var expected = Errors(expect).ToList();
        var ruled = expect.TryGetProperty("errors_rule", out var rule);
        if (!ruled) foreach (var rows in report.Errors.Select(e => e.Row).Except(expected.Select(e => Number(e, "row")))) yield return $"{name}: unexpected error in row {rows}: {report.Errors.First(e => e.Row == rows)}";
        foreach (var error in expected)
            if (!report.Errors.Any(e => Matches(error, e))) yield return $"{name}: no {error}; row has {string.Join(", ", report.Errors.Where(e => e.Row == Number(error, "row")))}";
        if (ruled)
        {
            var (first, step, many) = (rule.GetProperty("first").GetInt64(), rule.GetProperty("step").GetInt64(), rule.GetProperty("count").GetInt64());
            if (report.ErrorCount != many) yield return $"{name}: {report.ErrorCount} errors instead of {many}";
            if (report.Errors.Where((e, i) => e.Row != first + i * step || !Matches(rule, e, anyRow: true)).FirstOrDefault() is { } wrong) yield return $"{name}: unexpected {wrong}";
        }
        foreach (var warning in expect.GetProperty("warnings").EnumerateArray())
            if (!report.Warnings.Any(w => Matches(warning, w))) yield return $"{name}: no warning {warning}; row has {string.Join(", ", report.Warnings.Where(w => w.Row == Number(warning, "row")))}";
        if (expect.TryGetProperty("forbid", out var forbidden))
            foreach (var lookAlike in forbidden.EnumerateArray())
                foreach (var row in RowsWith(name, Text(lookAlike, "text")).Except(expect.GetProperty("warnings").EnumerateArray().Select(w => Number(w, "row") ?? 0)))
                    if (report.Warnings.Any(w => w.Row == row && w.Code == Text(lookAlike, "code"))) yield return $"{name}: false {lookAlike}";
    }

    private static List<string> Counts(JsonElement expect, DatasetReport report)
    {
        var differences = new List<string>();
        if (report.Accepted != expect.GetProperty("accepted").GetBoolean()) differences.Add($"accepted {report.Accepted}");
        if (report.Rows != Number(expect, "rows")) differences.Add($"{report.Rows} rows");
        if (report.GoodRows != Number(expect, "good_rows")) differences.Add($"{report.GoodRows} good rows");
        return differences;
    }

    private static IEnumerable<JsonElement> Errors(JsonElement expect) =>
        expect.TryGetProperty("errors_rule", out _) ? [] : expect.GetProperty("errors").EnumerateArray();

    private static bool Matches(JsonElement expected, RowFinding actual, bool anyRow = false)
    {
        string[] codes = [Text(expected, "code"), .. expected.TryGetProperty("also", out var also) ? also.EnumerateArray().Select(a => a.GetString()!) : []];
        return (anyRow || actual.Row == Number(expected, "row"))
            && codes.Contains(actual.Code)
            && (expected.GetProperty("field").GetString() is not { } field || actual.Field?.StartsWith(field, StringComparison.Ordinal) == true || actual.Code == "invalid-json")
            && (!expected.TryGetProperty("of_row", out var ofRow) || actual.OfRow == ofRow.GetInt64())
            && (!expected.TryGetProperty("match", out var match) || actual.Match == match.GetString())
            && (!expected.TryGetProperty("type", out var type) || actual.Type == type.GetString());
    }

    private static IEnumerable<long> RowsWith(string file, string text) =>
        File.ReadLines(Path.Combine(Reference.Locate(Inputs), file)).Select((line, i) => (line, Row: i + 1L)).Where(l => l.line.Contains(text, StringComparison.Ordinal)).Select(l => l.Row);

    private static string Text(JsonElement element, string key) => element.GetProperty(key).GetString()!;

    private static long? Number(JsonElement element, string key) => element.GetProperty(key) is { ValueKind: JsonValueKind.Number } number ? number.GetInt64() : null;
}
