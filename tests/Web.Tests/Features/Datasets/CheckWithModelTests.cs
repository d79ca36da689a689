using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.JsonLines;
using TokenMill.Testing;
using TokenMill.Web.Features.Datasets;

namespace TokenMill.Web.Tests.Features.Datasets;

public sealed class CheckWithModelTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Fact]
    public async Task RunAsync_WithAModel_CountsTokensAsTheTrainerSeesThem()
    {
        var rows = File.ReadLines(Reference.Locate("golden/smollm2/sft_examples.jsonl")).Take(21).Select(line => JsonNode.Parse(line)!).ToList();
        File.WriteAllLines(_path, rows.Select(r => new JsonObject { ["messages"] = r["messages"]!.DeepClone() }.ToJsonString()));
        var lengths = rows.Select(r => r["ids"]!.AsArray().Count).ToList();
        var limit = lengths.Order().ElementAt(15);

        var report = await CheckAsync(limit);

        Assert.Equal(lengths.Sum(), report.Tokens!.Total);
        Assert.Equal(rows.Sum(r => r["labels"]!.AsArray().Count(l => l!.GetValue<int>() != -100)), report.Tokens.Supervised);
        Assert.Equal(lengths.Max(), report.Tokens.Longest);
        Assert.Equal(lengths.Min(), report.Tokens.Shortest);
        Assert.InRange(report.Tokens.Median, lengths.Order().ElementAt(10) * 0.98, lengths.Order().ElementAt(10));
        var tooLong = Enumerable.Range(0, rows.Count).Where(i => lengths[i] > limit).Select(i => (long?)i + 1).ToList();
        Assert.Equal(tooLong.Count, report.Tokens.TooLong);
        Assert.Equal(tooLong, report.Warnings.Where(w => w.Code == "too-long").Select(w => w.Row));
    }

    [Fact]
    public async Task RunAsync_RowsThatTheTemplateRefuses_AreErrorsOfThoseRows()
    {
        File.WriteAllLines(_path,
        [
            """{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}""",
            """{"messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{}}}]}]}""",
        ]);
        var report = await CheckAsync(null);
        Assert.True(report.Accepted);
        Assert.Equal(1, report.GoodRows);
        Assert.Equal("template-refused", Assert.Single(report.Errors, e => e.Row == 2).Code);
    }

    [Fact]
    public async Task RunAsync_ModelThatIsNone_IsRefused()
    {
        File.WriteAllText(_path, """{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}""");
        var broken = _path + ".gguf";
        File.WriteAllText(broken, "no model");
        try
        {
            await Assert.ThrowsAsync<RefusedException>(() => CheckWithModel.RunAsync(_path, new DatasetReaderOptions(), broken, null, TimeProvider.System, TestContext.Current.CancellationToken));
        }
        finally
        {
            File.Delete(broken);
        }
    }

    private Task<DatasetReport> CheckAsync(int? maxTokens) =>
        CheckWithModel.RunAsync(_path, new DatasetReaderOptions(), Reference.Locate("models/SmolLM2-135M-Instruct-Q4_1.gguf"), maxTokens, TimeProvider.System, TestContext.Current.CancellationToken);
}
