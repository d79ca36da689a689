using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Components.Layout;
using TokenMill.Web.Localisation;
using TokenMill.Web.Tests.Hosting;

namespace TokenMill.Web.Tests.Components;

public sealed class SearchIndexTests
{
    [Fact]
    public async Task Search_FindsOwnThingsByPartOfTheirName_AndNoOthers()
    {
        await using var portal = await Portal.StartAsync();
        var mine = await portal.AddPersonAsync("mine@example.com", Role.Viewer);
        var theirs = await portal.AddPersonAsync("theirs@example.com", Role.Viewer);
        var made = TimeProvider.System.GetUtcNow();
        foreach (var (actor, name, age) in new[] { (mine, "Support_2026", 3), (mine, "supportX2026", 2), (theirs, "support-secret", 1) })   // the newest first, by ids that hold their time
            await portal.Database.WriteAsync(actor.WorkspaceId, db => { db.Add(new Dataset(new DatasetId(Guid.CreateVersion7(made.AddSeconds(-age))), actor.WorkspaceId, name, actor.UserId, TimeProvider.System.GetUtcNow())); return Task.CompletedTask; }, CancellationToken.None);
        var index = new SearchIndex(portal.Database, [new NavigationEntry(PipelineStep.Run, "People", "/users", "") { Minimum = Role.Administrator }], new Localizer());

        Assert.Equal(["supportX2026", "Support_2026"], (await index.FindAsync(mine, "UPPORT", CancellationToken.None)).Select(h => h.Title));
        Assert.Equal(["Support_2026"], (await index.FindAsync(mine, "t_2", CancellationToken.None)).Select(h => h.Title));
        Assert.Empty(await index.FindAsync(mine, "%", CancellationToken.None));
        Assert.Empty(await index.FindAsync(mine, "Peo", CancellationToken.None));        // not theirs to see
    }
}
