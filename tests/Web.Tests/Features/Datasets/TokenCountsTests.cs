using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Testing;
using TokenMill.Web.Accounts;
using TokenMill.Web.Features.Datasets;
using TokenMill.Web.Features.Models;
using TokenMill.Web.Tests.Hosting;

namespace TokenMill.Web.Tests.Features.Datasets;

public sealed class TokenCountsTests
{
    private const string Row = """{"messages":[{"role":"user","content":"How do I make tea?"},{"role":"assistant","content":"Boil the water."}]}""";

    [Fact]
    public async Task Import_CountsTokensInTheBackground()
    {
        Reference.Require(Directory.Exists(Path.Combine(Reference.Repository, ".native", "llama")), "no llama.cpp on this machine");
        await using var portal = await Portal.StartAsync();
        var person = await portal.AddPersonAsync("ada@example.org", Role.Member);
        await portal.Service<SeedStarterModel>().RunAsync(person.WorkspaceId, CancellationToken.None);

        var tokens = await ImportAsync(portal, person, Row + "\n" + Row);

        Assert.Null(tokens.Error);
        Assert.InRange(tokens.Statistics!.Supervised, 2, tokens.Statistics.Total - 2);
        Assert.Equal(0, tokens.Statistics.Total % 2);
    }

    [Fact]
    public async Task Import_WithoutAModel_KeepsTheReason()
    {
        await using var portal = await Portal.StartAsync();
        var person = await portal.AddPersonAsync("ada@example.org", Role.Member);

        var tokens = await ImportAsync(portal, person, Row);

        Assert.Null(tokens.Statistics);
        Assert.Equal("no-model", tokens.Error?.Code);
    }

    private static async Task<DatasetTokens> ImportAsync(Portal portal, Actor person, string rows)
    {
        var upload = Path.Combine(portal.Data.Root, "upload.jsonl");
        await File.WriteAllTextAsync(upload, rows);
        var import = await portal.Service<ImportDataset>().RunAsync(person, new(null, "tea", "tea.jsonl", upload), CancellationToken.None);
        Assert.True(import.IsOk);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (true)
        {
            await using var db = portal.Database.Open(person.WorkspaceId);
            var version = await db.DatasetVersions.AsNoTracking().SingleAsync(v => v.Id == import.Value!.Id, patience.Token);
            if (DatasetTokens.Parse(version.TokenStatisticsJson) is { } tokens)
            {
                Assert.False(portal.Service<TokenCounts>().IsRunning(version.Id));
                return tokens;
            }
            await Task.Delay(50, patience.Token);
        }
    }
}
