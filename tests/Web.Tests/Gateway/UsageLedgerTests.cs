using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Web.Features.Models;
using TokenMill.Web.Gateway;
using TokenMill.Web.Tests.Hosting;

namespace TokenMill.Web.Tests.Gateway;

public sealed class UsageLedgerTests
{
    [Fact]
    public async Task Start_ClosesWhatAKilledPlatformLeftReserved_AndNothingElse()
    {
        await using var portal = await Portal.StartAsync();
        var ledger = portal.Service<UsageLedger>();
        var ada = await portal.AddPersonAsync("ada@example.com", Role.Member);
        var workspace = ada.WorkspaceId;
        await portal.Service<SeedStarterModel>().RunAsync(workspace, TestContext.Current.CancellationToken);
        var deployment = await portal.Database.WriteAsync(workspace, async db =>
        {
            var starter = await db.ModelVersions.SingleAsync();
            return db.Add(new Deployment(DeploymentId.New(), workspace, "starter", starter.Id, "{}", ada.UserId, TimeProvider.System.GetUtcNow())).Entity.Id;
        }, TestContext.Current.CancellationToken);
        foreach (var id in new[] { "settled", "left" }) await ledger.ReserveAsync(id, workspace, deployment, null, null, TestContext.Current.CancellationToken);
        await ledger.SettleAsync("settled", workspace, new TokenCount(5, 2, 7));

        await ledger.StartAsync(TestContext.Current.CancellationToken);

        await using var db = portal.Database.Open(workspace);
        var records = await db.UsageRecords.ToDictionaryAsync(r => r.RequestId, TestContext.Current.CancellationToken);
        Assert.Equal((UsageState.Settled, 7), (records["settled"].State, records["settled"].CompletionTokens));
        Assert.Equal(UsageState.Interrupted, records["left"].State);
        Assert.NotNull(records["left"].FinishedAt);
        Assert.Equal("usage-settled", (await Assert.ThrowsAsync<RefusedException>(() => ledger.SettleAsync("left", workspace, new TokenCount(1, 0, 1)))).Error.Code);
    }
}
