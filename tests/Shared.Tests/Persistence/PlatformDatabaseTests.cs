using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Shared.Tests.Persistence;

public sealed class PlatformDatabaseTests
{
    private static readonly UserId Someone = UserId.New();
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task WorkspaceFilter_ForeignRow_IsNeitherListedNorFound()
    {
        await using var file = await DatabaseFile.CreateAsync();
        var (mine, theirs) = (await file.AddWorkspaceAsync("mine"), await file.AddWorkspaceAsync("theirs"));
        var foreign = new Dataset(DatasetId.New(), theirs, "secret", Someone, DatabaseFile.Noon);
        await file.Database.WriteAsync(theirs, db => { db.Add(foreign); return Task.CompletedTask; }, None);

        await using var db = file.Database.Open(mine);
        Assert.Empty(await db.Datasets.ToListAsync(None));
        Assert.Null(await db.Datasets.SingleOrDefaultAsync(d => d.Id == foreign.Id, None));
        Assert.Null(await db.Datasets.FindAsync([foreign.Id], None));
        await using var own = file.Database.Open(theirs);
        Assert.Equal("secret", (await own.Datasets.SingleAsync(None)).Name);
        await using var nowhere = file.Database.Open(default);
        Assert.Empty(await nowhere.Datasets.ToListAsync(None));
    }

    [Fact]
    public async Task Write_OfAForeignRow_IsABug()
    {
        await using var file = await DatabaseFile.CreateAsync();
        var (mine, theirs) = (await file.AddWorkspaceAsync("mine"), await file.AddWorkspaceAsync("theirs"));

        await Assert.ThrowsAsync<InvalidOperationException>(() => file.Database.WriteAsync(mine, db =>
        {
            db.Add(new Dataset(DatasetId.New(), theirs, "planted", Someone, DatabaseFile.Noon));
            return Task.CompletedTask;
        }, None));
        await using var db = file.Database.Open(WorkspaceScope.All);
        Assert.Empty(await db.Datasets.ToListAsync(None));
    }

    [Fact]
    public async Task WriteAsync_ByManyAtOnce_LosesNoUpdate()
    {
        await using var file = await DatabaseFile.CreateAsync();
        var workspace = await file.AddWorkspaceAsync("busy");
        var job = new Job(JobId.New(), workspace, JobKind.FineTune, Guid.NewGuid(), "counter", ExecutionGroup.Cpu, Someone, DatabaseFile.Noon);
        await file.Database.WriteAsync(workspace, db => { db.Add(job); return Task.CompletedTask; }, None);

        var writers = Enumerable.Range(0, 16).Select(async _ =>
        {
            for (var i = 0; i < 10; i++)
                await file.Database.WriteAsync(workspace, async db =>
                {
                    var row = await db.Jobs.SingleAsync(None);
                    row.Prioritise(row.Priority + 1);
                }, None);
        });
        var readers = Enumerable.Range(0, 4).Select(async _ =>
        {
            for (var i = 0; i < 50; i++)
            {
                await using var db = file.Database.Open(workspace);
                Assert.InRange((await db.Jobs.AsNoTracking().SingleAsync(None)).Priority, 0, 160);
            }
        });
        await Task.WhenAll([.. writers, .. readers]);

        await using var check = file.Database.Open(workspace);
        Assert.Equal(160, (await check.Jobs.SingleAsync(None)).Priority);
    }

    [Fact]
    public async Task TryWriteAsync_Refused_SavesNothing()
    {
        await using var file = await DatabaseFile.CreateAsync();
        var workspace = await file.AddWorkspaceAsync("w");

        var result = await file.Database.TryWriteAsync(workspace, async db =>
        {
            db.Add(new Dataset(DatasetId.New(), workspace, "half", Someone, DatabaseFile.Noon));
            await db.SaveChangesAsync(None);
            return new Error("no", "not today", "");
        }, None);

        Assert.Equal("no", result.Error?.Code);
        await using var db = file.Database.Open(workspace);
        Assert.Empty(await db.Datasets.ToListAsync(None));
    }

    [Fact]
    public async Task BulkWrite_OutsideTheGate_IsABug()
    {
        await using var file = await DatabaseFile.CreateAsync();
        await using var db = file.Database.Open(WorkspaceScope.All);
        await Assert.ThrowsAsync<InvalidOperationException>(() => db.Jobs.ExecuteDeleteAsync(None));
        await file.Database.WriteAsync(WorkspaceScope.All, inside => inside.Jobs.ExecuteDeleteAsync(None), None);
    }

    [Fact]
    public async Task EveryEntity_SurvivesARoundTrip()
    {
        await using var file = await DatabaseFile.CreateAsync();
        var workspace = await file.AddWorkspaceAsync("w");
        var at = DatabaseFile.Noon.ToOffset(TimeSpan.FromHours(8));
        var dataset = new Dataset(DatasetId.New(), workspace, "support", Someone, at);
        var version = new DatasetVersion(DatasetVersionId.New(), workspace, dataset.Id, 1, "a.jsonl", Someone, at);
        version.Complete("datasets/1.jsonl", "00ff", 10, 3, 2, "{}").OrThrow();
        var model = new Model(ModelId.New(), workspace, "starter", true, null, at);
        var baseVersion = new ModelVersion(ModelVersionId.New(), workspace, model.Id, 1, ModelKind.Base, "m.gguf", "ab", 5, at) { Architecture = "llama", Parameters = 7 };
        var run = new FineTuneRun(FineTuneRunId.New(), workspace, "support-r16", 1, version.Id, baseVersion.Id, "{}", Someone, at);
        var token = run.Start(at).OrThrow();
        run.Run(token, 10).OrThrow();
        run.RecordStep(token, 1, 2.5, 100, 9).OrThrow();
        var deployment = new Deployment(DeploymentId.New(), workspace, "prod", baseVersion.Id, "{}", Someone, at);
        deployment.Fail(new Error("broken", "It broke", "mend it"), null, at);
        var conversation = new Conversation(ConversationId.New(), workspace, Someone, deployment.Id, "Hello", at);
        var generation = new Generation(GenerationId.New(), workspace, conversation.Id, deployment.Id, Someone, "[]", "{}", at);
        var evaluation = new EvaluationRun(EvaluationRunId.New(), workspace, "e", version.Id, baseVersion.Id, baseVersion.Id, "{}", Someone, at);
        var item = new EvaluationItem(workspace, evaluation.Id, 0, "[]", "yes") { BaseAnswer = "no", TunedAnswer = "yes", ScoresJson = "{}", BaseLogLikelihood = -2 };
        var (key, secret) = ApiKey.Create(workspace, "key", Someone, at);
        var usage = new UsageRecord("req-1", workspace, deployment.Id, key.Id, null, at);
        var user = new User { Id = Someone, UserName = "ada", DisplayName = "Ada", CreatedAt = at };
        object[] all = [user, dataset, version, model, baseVersion, run, new RunEvent(workspace, run.Id, 1, "step", 1, "{}", at), deployment,
            new DeploymentStep(workspace, deployment.Id, "check", DeploymentStepState.Failed, "It broke", at), conversation, generation, evaluation, item, key, usage,
            new AuditEntry(workspace, Someone, "api-key-created", "key", at), new Membership(workspace, Someone, Role.Member, at)];
        await file.Database.WriteAsync(workspace, db => { db.AddRange(all); return Task.CompletedTask; }, None);

        await using var read = file.Database.Open(workspace);
        var found = await read.FineTuneRuns.SingleAsync(r => r.State == FineTuneRunState.Running && r.CreatedAt <= at, None);
        Assert.Equal((run.Id, token, 2.5, 1), (found.Id, found.RunToken, found.Loss, found.Attempts));
        Assert.Equal(at, found.CreatedAt);
        Assert.Equal("mend it", (await read.Deployments.SingleAsync(None)).Error?.Remedy);
        Assert.Equal("yes", (await read.EvaluationItems.SingleAsync(None)).TunedAnswer);
        Assert.Equal("llama", (await read.ModelVersions.SingleAsync(None)).Architecture);
        Assert.Equal(ApiKey.HashOf(secret), (await read.ApiKeys.SingleAsync(None)).Hash);
        Assert.Equal(("Ada", Role.Member), await read.Memberships.Join(read.Users, m => m.UserId, u => u.Id, (m, u) => ValueTuple.Create(u.DisplayName, m.Role)).SingleAsync(None));
        var counted = await read.UsageRecords.SingleAsync(u => u.ApiKeyId == key.Id, None);
        Assert.Equal((key.Id, null), (counted.ApiKeyId, counted.UserId));
    }
}
