using TokenMill.Shared.Domain;
using TokenMill.Web.Features.Datasets;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Tests.Features.Datasets;

public sealed class DatasetRowsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dataset-rows-");
    private readonly DataDirectory _data;

    public DatasetRowsTests() => _data = DataDirectory.Open(_folder.FullName);

    public void Dispose()
    {
        _data.Dispose();
        _folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}""", "user:a, assistant:b*")]
    [InlineData("""{"prompt":[{"role":"user","content":"a"}],"chosen":[{"role":"assistant","content":"b"}],"rejected":[{"role":"assistant","content":"c"}]}""", "user:a, chosen answer:b*, rejected answer:c")]
    [InlineData("""{"text":"a"}""", "text:a*")]
    public async Task Rows_OfEveryKind_AreShown(string row, string expected)
    {
        var path = Path.Combine(_data.Datasets, "rows.jsonl");
        Directory.CreateDirectory(_data.Datasets);
        await File.WriteAllTextAsync(path, row + "\n", TestContext.Current.CancellationToken);
        var version = new DatasetVersion(DatasetVersionId.New(), WorkspaceId.New(), DatasetId.New(), 1, "rows.jsonl", UserId.New(), DateTimeOffset.UnixEpoch);
        version.Complete(_data.Relative(path), "00", 1, 1, 1, "{}").OrThrow();
        var shown = Assert.Single(await new DatasetRows(_data).ReadAsync(version, 0, 10, TestContext.Current.CancellationToken));
        Assert.Equal(expected, string.Join(", ", shown.Messages.Select(m => $"{m.Role}:{m.Text}{(m.IsSupervised ? "*" : "")}")));
    }
}
