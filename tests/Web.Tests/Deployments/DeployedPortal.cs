using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Testing;
using TokenMill.Web.Accounts;
using TokenMill.Web.Features.ApiKeys;
using TokenMill.Web.Features.Deployments;
using TokenMill.Web.Features.Models;
using TokenMill.Web.Nodes;
using TokenMill.Web.Tests.Hosting;

namespace TokenMill.Web.Tests.Deployments;

/// <summary>A portal with the starter model behind a name, served by the real serving program; shared by the tests of what talks to it.</summary>
public sealed class DeployedPortal : IAsyncLifetime
{
    public const string Collection = "deployed portal", OwnerEmail = "owner@example.com";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);
    private Deployment? _slow;

    public Portal Portal { get; private set; } = default!;
    public Actor Owner { get; private set; } = default!;
    public Deployment Starter { get; private set; } = default!;

    /// <summary>A key of the owner's workspace.</summary>
    public string Key { get; private set; } = "";

    public async ValueTask InitializeAsync()
    {
        Portal = await Portal.StartAsync();
        Owner = await Portal.AddPersonAsync(OwnerEmail, Role.Member);
        Key = (await CreateKeyAsync(Owner)).Secret;
        Starter = await DeployAsync("starter", Installation.StarterModel);
    }

    public async Task<CreateApiKey.Created> CreateKeyAsync(Actor actor) =>
        (await Portal.Service<CreateApiKey>().HandleAsync(actor, new("test"), CancellationToken.None)).OrThrow();

    /// <summary>A model that takes long enough to be stopped in the middle of an answer.</summary>
    public async Task<Deployment> SlowAsync() => _slow ??= await DeployAsync("slow", Reference.Locate("models/SmolLM2-135M-Instruct-Q4_1.gguf"));

    public async Task<ModelVersion> ImportAsync(string modelPath, Actor? actor = null)
    {
        var upload = Path.Combine(Portal.Data.Uploads, Guid.NewGuid().ToString("N"));
        await using (Stream from = File.OpenRead(modelPath), to = File.Create(upload)) await from.CopyToAsync(to);     // not read-only, as a copy of a reference file would be
        return (await Portal.Service<ImportModel>().RunAsync(actor ?? Owner, new(null, Path.GetFileName(modelPath), upload), CancellationToken.None)).OrThrow();
    }

    public async Task<DeploymentId> BeginAsync(string name, ModelVersionId version) =>
        (await Portal.Service<DeployModelVersion>().RunAsync(Owner, new(version, name, new DeploymentOptions()), CancellationToken.None)).OrThrow();

    public async Task<Deployment> DeployAsync(string name, string modelPath) => await ReachAsync(await BeginAsync(name, (await ImportAsync(modelPath)).Id), DeploymentState.Ready);

    public async Task ChangeAsync(DeploymentId id, ChangeDeployment.Change change) =>
        (await Portal.Service<ChangeDeployment>().RunAsync(Owner, new(id, change), CancellationToken.None)).OrThrow();

    /// <summary>Waits until the deployment is in a state; fails at once, with the reason, when it gives up instead.</summary>
    public async Task<Deployment> ReachAsync(DeploymentId id, DeploymentState state)
    {
        Deployment? now = null;
        await UntilAsync(async () =>
        {
            await using var db = Portal.Database.Open(Owner.WorkspaceId);
            now = await db.Deployments.AsNoTracking().SingleAsync(d => d.Id == id);
            Assert.False(now.State == DeploymentState.Failed && state != DeploymentState.Failed, $"failed: {now.Error}");
            return now.State == state;
        }, $"the deployment to be {state}");
        return now!;
    }

    public ServingProcess Engine(Deployment deployment) =>
        Portal.Service<RunningDeployments>().TryGet(deployment.Id, out var running) ? running.Engine : throw new InvalidOperationException($"{deployment.Name} does not run");

    public async Task<EngineMetrics> MetricsAsync(Deployment deployment) =>
        await EngineMetrics.ReadAsync(Engine(deployment), CancellationToken.None) ?? throw new InvalidOperationException("the engine does not answer");

    public async Task<List<UsageRecord>> UsageAsync(Deployment deployment)
    {
        await using var db = Portal.Database.Open(WorkspaceScope.All);
        return await db.UsageRecords.AsNoTracking().Where(u => u.DeploymentId == deployment.Id).OrderBy(u => u.StartedAt).ToListAsync();
    }

    public static async Task UntilAsync(Func<Task<bool>> condition, string what)
    {
        var end = TimeProvider.System.GetUtcNow() + Patience;
        while (!await condition())
        {
            Assert.True(TimeProvider.System.GetUtcNow() < end, $"waited {Patience.TotalSeconds} s in vain for {what}");
            await Task.Delay(50);
        }
    }

    public ValueTask DisposeAsync() => Portal.DisposeAsync();
}

[CollectionDefinition(DeployedPortal.Collection)]
public sealed class DeployedPortalCollection : ICollectionFixture<DeployedPortal>;
