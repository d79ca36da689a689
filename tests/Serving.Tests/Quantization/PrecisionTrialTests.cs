using System.Diagnostics;
using System.Text.Json.Nodes;
using TokenMill.Serving.Host;
using TokenMill.Serving.Quantization;
using TokenMill.Serving.Sampling;
using TokenMill.Shared;

namespace TokenMill.Serving.Tests.Quantization;

/// <summary>The report of <c>quantize</c>, against the same quantities computed from whole logits of the original and of the files it made.</summary>
public sealed class PrecisionTrialTests(ITestOutputHelper output) : IDisposable
{
    private static readonly int[][] Sequences = [[5, 6, 7, 8, 9, 10, 11], [40, 3, 17, 25], [9, 9, 4, 30, 31, 32, 33, 34, 35]];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("precision-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Report_IsWhatTheLogitsSay()
    {
        // Only the last token of each sequence is scored, so what precedes it gives the distribution.
        var trial = new PrecisionTrial(Models.Family("llama-tied"), Rows(Sequences), _folder.FullName, keep: true, scoredTokens: 100, threads: 1, _ => { });
        var report = await trial.RunAsync(["Q8_0", "Q4_0"], CancellationToken.None);

        Assert.Equal((3, 3), (report.Examples, report.ScoredTokens));
        Assert.Equal((0.0, 1.0), (report.Original.KlDivergence, report.Original.Top1Agreement));
        var original = await DistributionsAsync(Models.Family("llama-tied"));
        AssertNear("original perplexity", Perplexity(original), report.Original.Perplexity);
        foreach (var variant in report.Variants)
        {
            Assert.Equal(new FileInfo(variant.Path!).Length, variant.SizeBytes);
            Assert.True(variant is { TokensPerSecond: > 0, PromptTokensPerSecond: > 0 });
            var own = await DistributionsAsync(variant.Path!);
            AssertNear($"{variant.Type} perplexity", Perplexity(own), variant.Perplexity);
            AssertNear($"{variant.Type} divergence", original.Zip(own, (p, q) => p.Zip(q, (a, b) => Math.Exp(a) * (a - b)).Sum()).Average(), variant.KlDivergence);
            Assert.Equal(original.Zip(own, (p, q) => Best(p) == Best(q) ? 1.0 : 0).Average(), variant.Top1Agreement, 6);
        }
        Assert.True(report.Variants[0].KlDivergence < report.Variants[1].KlDivergence);
        Assert.True(report.Original.SizeBytes > report.Variants[0].SizeBytes && report.Variants[0].SizeBytes > report.Variants[1].SizeBytes);
        Assert.Equal(2, _folder.GetFiles("*.gguf").Length);
        Assert.Empty(_folder.GetFiles("*.tmp"));
    }

    [Fact]
    public async Task Command_WritesJsonAndPage_AndRefusesByName()
    {
        var (json, html) = (Path.Combine(_folder.FullName, "report.json"), Path.Combine(_folder.FullName, "report.html"));
        var data = Rows(Sequences);
        var (exitCode, table, _) = await RunAsync("quantize", Models.Family("llama-tied"), "--types", "q8_0", "--data", data, "--tokens", "2", "--threads", "1", "--json", json, "--html", html);
        Assert.Equal(0, exitCode);
        Assert.Contains("Q8_0", table, StringComparison.Ordinal);
        var report = JsonNode.Parse(await File.ReadAllTextAsync(json))!;
        Assert.Equal((2, "Q8_0"), (report["scored_tokens"]!.GetValue<int>(), report["variants"]![0]!["type"]!.ToString()));
        Assert.Contains("<td>Q8_0</td>", await File.ReadAllTextAsync(html), StringComparison.Ordinal);

        Assert.Equal(2, (await RunAsync("quantize", Models.Family("llama-tied"), "--types", "Q9_9", "--data", data)).ExitCode);
        var unknown = await RunAsync("quantize", Models.Family("llama-tied"), "--types", "Q8_0", "--data", Rows([[1, 1_000_000]]));
        Assert.Equal(1, unknown.ExitCode);
        Assert.Contains("error: unknown-token: row 1", unknown.Errors, StringComparison.Ordinal);
    }

    private string Rows(int[][] sequences)
    {
        var path = Path.Combine(_folder.FullName, $"{Guid.NewGuid():N}.jsonl");
        File.WriteAllLines(path, sequences.Select(ids => $$"""{"ids":[{{string.Join(',', ids)}}],"labels":[{{string.Concat(Enumerable.Repeat("-100,", ids.Length - 1))}}{{ids[^1]}}]}"""));
        return path;
    }

    /// <summary>Log-probabilities of what may follow each sequence without its last token.</summary>
    private static async Task<double[][]> DistributionsAsync(string path)
    {
        using var model = Models.Load(path);
        List<double[]> distributions = [];
        foreach (var ids in Sequences)
        {
            var logits = (await model.ScoreAsync(ids[..^1], null, CancellationToken.None)).LastLogits;
            distributions.Add([.. Enumerable.Range(0, logits.Length).Select(id => PromptScoring.LogProbability(logits, id))]);
        }
        return [.. distributions];
    }

    private static double Perplexity(double[][] distributions) => Math.Exp(-distributions.Zip(Sequences, (p, ids) => p[ids[^1]]).Average());

    private static int Best(double[] distribution) => distribution.IndexOf(distribution.Max());

    private void AssertNear(string what, double expected, double actual)
    {
        output.WriteLine($"{what}: {expected:0.000000}, off by {actual - expected:0.0e0}");
        Assert.InRange(actual, expected - 1e-5 * (1 + Math.Abs(expected)), expected + 1e-5 * (1 + Math.Abs(expected)));
    }

    private static async Task<(int ExitCode, string Output, string Errors)> RunAsync(params string[] words)
    {
        using var child = Process.Start(new ProcessStartInfo("dotnet", [Installation.Program("Serving"), .. words]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = child.StandardError.ReadToEndAsync();
        var text = await child.StandardOutput.ReadToEndAsync();
        await child.WaitForExitAsync();
        return (child.ExitCode, text, await errors);
    }
}
