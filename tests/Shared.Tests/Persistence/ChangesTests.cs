using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Shared.Tests.Persistence;

public sealed class ChangesTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Commit_IsTold_ToTheWorkspaceAndTheSystem_AndRollbackIsNot()
    {
        await using var file = await DatabaseFile.CreateAsync();
        var (mine, theirs) = (await file.AddWorkspaceAsync("mine"), await file.AddWorkspaceAsync("theirs"));
        List<string> heard = [];
        using var own = file.Database.Changes.Subscribe(mine, types => heard.Add("mine " + string.Join(',', types.Select(t => t.Name))));
        using var foreign = file.Database.Changes.Subscribe(theirs, _ => heard.Add("theirs"));
        using var system = file.Database.Changes.Subscribe(WorkspaceScope.All, _ => heard.Add("all"));
        Dataset Make() => new(DatasetId.New(), mine, "d", UserId.New(), DatabaseFile.Noon);

        await file.Database.WriteAsync(mine, db => { db.Add(Make()); return Task.CompletedTask; }, None);
        await file.Database.TryWriteAsync(mine, async db => { db.Add(Make()); await db.SaveChangesAsync(None); return new Error("no", "no", ""); }, None);
        await Assert.ThrowsAsync<InvalidDataException>(() => file.Database.WriteAsync(mine, async db => { db.Add(Make()); await db.SaveChangesAsync(None); throw new InvalidDataException(); }, None));

        Assert.Equal(["all", "mine Dataset"], heard.Order());
        own.Dispose();
        await using (var db = file.Database.Open(mine))
        {
            db.Add(Make());
            await db.SaveChangesAsync(None);
        }
        Assert.Equal(["all", "all", "mine Dataset"], heard.Order());
    }
}
