using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Features.FineTuning;
using TokenMill.Web.Hosting;
using TokenMill.Web.Jobs;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Tests.Jobs;

/// <summary>The queue with its database and Quartz store in a folder of its own, and a trainer of the test's choosing; no web server.</summary>
internal sealed class QueueHost : IAsyncDisposable
{
    private readonly IHost _host;
    private readonly DataDirectory _data;

    private QueueHost(DataDirectory data, PlatformDatabase database, IHost host) => (_data, Database, _host) = (data, database, host);

    public PlatformDatabase Database { get; }
    public WorkspaceId Workspace { get; private init; }
    public Actor Actor => new(UserId.From(Guid.Empty), Workspace, "Support", Role.Member, "Somebody");
    public JobQueue Queue => _host.Services.GetRequiredService<JobQueue>();

    public static string NewFolder() => Directory.CreateTempSubdirectory("tokenmill-queue-").FullName;

    public static async Task<QueueHost> StartAsync(string folder, ITrainer trainer)
    {
        var data = DataDirectory.Open(folder);
        var database = new PlatformDatabase(data.Database);
        await database.MigrateAsync(TestContext.Current.CancellationToken);
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton(TimeProvider.System).AddSingleton(database).AddSingleton(data);
        builder.Services.AddJobs(data).AddFineTuning();
        builder.Services.AddSingleton(trainer);
        var host = builder.Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
        await using var db = database.Open(WorkspaceScope.All);
        return new QueueHost(data, database, host) { Workspace = (await db.Workspaces.FirstOrDefaultAsync())?.Id ?? await SeedAsync(folder, database) };
    }

    public async Task<FineTuneRunId> StartRunAsync(string name = "run")
    {
        await using var db = Database.Open(Workspace);
        var data = await db.DatasetVersions.SingleAsync();
        var model = await db.ModelVersions.SingleAsync(v => v.Kind == ModelKind.Base);
        var start = _host.Services.GetRequiredService<StartFineTune>();
        return (await start.HandleAsync(Actor, new StartFineTune.Command(name, data.Id, model.Id, new FineTuneSettings()), TestContext.Current.CancellationToken)).OrThrow();
    }

    public async Task<FineTuneRun> RunAsync(FineTuneRunId id)
    {
        await using var db = Database.Open(Workspace);
        return await db.FineTuneRuns.AsNoTracking().SingleAsync(r => r.Id == id);
    }

    public async Task<Job> JobAsync(FineTuneRunId id) => (await Queue.FindForAsync(Workspace, JobKind.FineTune, id.Value, TestContext.Current.CancellationToken))!;

    public async Task<List<RunEvent>> EventsAsync(FineTuneRunId id)
    {
        await using var db = Database.Open(Workspace);
        return await db.RunEvents.AsNoTracking().Where(e => e.RunId == id).OrderBy(e => e.Sequence).ToListAsync();
    }

    public async Task<FineTuneRun> WaitAsync(FineTuneRunId id, Func<FineTuneRun, bool> condition)
    {
        var deadline = TimeProvider.System.GetUtcNow() + TimeSpan.FromMinutes(2);
        while (true)
        {
            var run = await RunAsync(id);
            if (condition(run)) return run;
            Assert.True(TimeProvider.System.GetUtcNow() < deadline, $"still {run.State} at step {run.Step} after 2 minutes; {run.Error}; job {(await JobAsync(id)).State}: {(await JobAsync(id)).WaitingReason}");
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>The job notes the end of its run a moment after the run does.</summary>
    public async Task<Job> WaitForJobAsync(FineTuneRunId id, JobState state)
    {
        for (var i = 0; i < 200; i++)
        {
            if (await JobAsync(id) is var job && job.State == state) return job;
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }
        return await JobAsync(id);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
        await Database.DisposeAsync();
        _data.Dispose();
    }

    private static async Task<WorkspaceId> SeedAsync(string folder, PlatformDatabase database)
    {
        var (workspace, user, now) = (WorkspaceId.New(), UserId.From(Guid.NewGuid()), TimeProvider.System.GetUtcNow());
        File.WriteAllText(Path.Combine(folder, "rows.jsonl"), """{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}""" + "\n");
        File.WriteAllText(Path.Combine(folder, "model.gguf"), "weights");
        string Sha(string name) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Path.Combine(folder, name))));
        await database.WriteAsync(WorkspaceScope.All, db =>
        {
            db.Workspaces.Add(new Workspace(workspace, "Support", now));
            var dataset = new Dataset(DatasetId.New(), workspace, "rows", user, now);
            var data = new DatasetVersion(DatasetVersionId.New(), workspace, dataset.Id, 1, "rows.jsonl", user, now);
            data.Complete("rows.jsonl", Sha("rows.jsonl"), 10, 100, 100, "{}").OrThrow();
            var model = new Model(ModelId.New(), workspace, "base", false, user, now);
            db.AddRange(dataset, data, model, new ModelVersion(ModelVersionId.New(), workspace, model.Id, 1, ModelKind.Base, "model.gguf", Sha("model.gguf"), 7, now));
            return Task.CompletedTask;
        }, TestContext.Current.CancellationToken);
        return workspace;
    }
}
