using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Testing;
using TokenMill.Web.Features.Deployments;
using TokenMill.Web.Nodes;
using TokenMill.Web.Tests.Hosting;

namespace TokenMill.Web.Tests.Deployments;

/// <summary>From a model version to a name that answers, and what keeps it so.</summary>
[Collection(DeployedPortal.Collection)]
public sealed class DeploymentTests(DeployedPortal deployed, ITestOutputHelper output)
{
    private static readonly CancellationToken None = CancellationToken.None;

    private Portal Portal => deployed.Portal;

    [Fact]
    public async Task Deployment_WritesDownEachStep_AndComparesWithTheTrainerWhereThereIsOne()
    {
        await using var db = Portal.Database.Open(deployed.Owner.WorkspaceId);
        var steps = await db.DeploymentSteps.Where(s => s.DeploymentId == deployed.Starter.Id && s.State != DeploymentStepState.Running).OrderBy(s => s.Id).ToListAsync();

        Assert.Equal(["check", "load", "parity", "ready"], steps.Select(s => s.Step));
        Assert.All(steps, s => Assert.NotEmpty(s.Reason));
        if (!Portal.Service<MachineFacts>().CanTrain)
        {
            Assert.Equal(DeploymentStepState.Skipped, steps[2].State);
            Assert.Contains("libtorch", steps[2].Reason, StringComparison.Ordinal);
            return;
        }
        var parity = Json.Deserialize<ParityReport>(deployed.Starter.ParityJson!);
        output.WriteLine($"parity of the starter model: {parity.Tokens} tokens, mean {parity.MeanLogprobDifference:0.0000}, max {parity.MaxLogprobDifference:0.000}, NLL {parity.NllDifference:0.0000}");
        Assert.Equal(DeploymentStepState.Done, steps[2].State);
        Assert.True(parity.Conversations >= 5 && parity.Tokens >= 200);
        Assert.InRange(parity.MeanLogprobDifference, 1e-9, 0.15);
    }

    [Fact]
    public async Task KilledEngine_ComesBack_AndStopEndsItsProcess()
    {
        var deployment = await deployed.DeployAsync("phoenix", Installation.StarterModel);
        var first = deployed.Engine(deployment).Id;
        Process.GetProcessById(first).Kill();
        await DeployedPortal.UntilAsync(() => Task.FromResult(Portal.Service<RunningDeployments>().TryGet(deployment.Id, out var now) && now.Engine.Id != first), "a new process");
        await deployed.ReachAsync(deployment.Id, DeploymentState.Ready);
        var second = deployed.Engine(deployment).Id;

        await deployed.ChangeAsync(deployment.Id, ChangeDeployment.Change.Stop);
        await deployed.ReachAsync(deployment.Id, DeploymentState.Stopped);

        Assert.Throws<ArgumentException>(() => Process.GetProcessById(second));
        Assert.False(Portal.Service<RunningDeployments>().TryGet(deployment.Id, out _));
    }

    [Fact]
    public async Task ChangedFile_IsNotServed()
    {
        var version = await deployed.ImportAsync(Installation.StarterModel);
        await using (var file = File.Open(Portal.Data.Resolve(version.Path), FileMode.Open, FileAccess.ReadWrite))
        {
            file.Seek(-1, SeekOrigin.End);
            var last = file.ReadByte();
            file.Seek(-1, SeekOrigin.End);
            file.WriteByte((byte)(last ^ 1));
        }

        var failed = await deployed.ReachAsync(await deployed.BeginAsync("tampered", version.Id), DeploymentState.Failed);

        Assert.Equal("model-file-changed", failed.Error?.Code);
        Assert.NotEmpty(failed.Error!.Remedy);
    }

    /// <summary>A trained adapter is served as it was trained; one whose two forms differ (here: before and after training) takes no traffic.</summary>
    [Theory]
    [InlineData("adapter_final.safetensors", DeploymentState.Ready)]
    [InlineData("adapter_init.safetensors", DeploymentState.Failed)]
    public async Task Adapter_IsComparedWithTheTrainersOwn(string trainersFile, DeploymentState expected)
    {
        var family = Reference.Locate("golden/families/llama-tied");
        Reference.Require(Portal.Service<MachineFacts>().CanTrain, "the trainer needs libtorch");
        var weights = await deployed.ImportAsync(Path.Combine(family, "model.gguf"));
        var folder = Directory.CreateDirectory(Path.Combine(Portal.Data.Models, Guid.NewGuid().ToString("N"))).FullName;
        File.Copy(Path.Combine(family, "lora", "adapter_config.json"), Path.Combine(folder, "adapter_config.json"));
        File.Copy(Path.Combine(family, "lora", trainersFile), Path.Combine(folder, "adapter_model.safetensors"));
        var gguf = Path.Combine(family, "lora", "adapter_final.gguf");
        var adapter = new ModelVersion(ModelVersionId.New(), deployed.Owner.WorkspaceId, weights.ModelId, 2, ModelKind.Adapter, gguf,
            Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(gguf))), new FileInfo(gguf).Length, TimeProvider.System.GetUtcNow())
        {
            AdapterPath = Portal.Data.Relative(folder), BaseVersionId = weights.Id,
        };
        await Portal.Database.WriteAsync(deployed.Owner.WorkspaceId, db => { db.Add(adapter); return Task.CompletedTask; }, None);

        var deployment = await deployed.ReachAsync(await deployed.BeginAsync("tuned " + trainersFile, adapter.Id), expected);

        var parity = Json.Deserialize<ParityReport>(deployment.ParityJson!);
        output.WriteLine($"{trainersFile}: mean {parity.MeanLogprobDifference:0.00000}, max {parity.MaxLogprobDifference:0.0000}");
        Assert.Equal(expected == DeploymentState.Failed ? "parity-failed" : null, deployment.Error?.Code);
        Assert.NotEmpty(parity.Worst[0].Text);
        if (expected == DeploymentState.Ready) await deployed.ChangeAsync(deployment.Id, ChangeDeployment.Change.Stop);
    }

    [Fact]
    public void ParityReport_RefusesWhatDiffersTooMuch_AndNamesTheWorstTokens()
    {
        ParityReport Of(double difference, bool quantised) => ParityReport.Of(5, quantised, [.. Enumerable.Range(1, 200).Select(i => new ParityToken(1, i, $"t{i}", -2, -2 + (i % 2 == 0 ? difference : -difference) * (i == 7 ? 3 : 1)))]);

        Assert.Null(Of(0.005, quantised: false).Refusal());
        Assert.Equal("parity-failed", Of(0.02, quantised: false).Refusal()?.Code);
        Assert.Null(Of(0.1, quantised: true).Refusal());
        Assert.Equal("parity-failed", Of(0.2, quantised: true).Refusal()?.Code);
        Assert.Equal("parity-failed", Of(double.NaN, quantised: true).Refusal()?.Code);
        Assert.Equal("t7", Of(0.02, quantised: false).Worst[0].Text);
        var shifted = ParityReport.Of(5, true, [.. Enumerable.Range(1, 200).Select(i => new ParityToken(1, i, "t", -2, -2.1))]);
        Assert.Equal("parity-failed", shifted.Refusal()?.Code);
    }

    [Fact]
    public async Task ForeignWorkspace_SeesNothingOfIt()
    {
        var stranger = await Portal.AddPersonAsync("stranger@example.com", Role.Administrator);
        var version = deployed.Starter.ModelVersionId;

        Assert.Equal("deployment-not-found", (await Portal.Service<ChangeDeployment>().RunAsync(stranger, new(deployed.Starter.Id, ChangeDeployment.Change.Stop), None)).Error?.Code);
        Assert.Equal("model-not-found", (await Portal.Service<DeployModelVersion>().RunAsync(stranger, new(version, "stolen", new DeploymentOptions()), None)).Error?.Code);
        using var browser = await Portal.BrowserOfAsync("stranger@example.com");
        using var page = await browser.GetAsync($"/deployments/{deployed.Starter.Id}");
        Assert.Equal(HttpStatusCode.NotFound, page.StatusCode);
        Assert.DoesNotContain(deployed.Starter.Name + " ", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        using var own = await Portal.BrowserOfAsync(DeployedPortal.OwnerEmail);
        Assert.Contains("generation_tokens_total", await own.GetStringAsync($"/deployments/{deployed.Starter.Id}"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Viewer_MayNotDeployOrStop()
    {
        var viewer = await Portal.AddPersonAsync("viewer@example.com", Role.Viewer, deployed.Owner.WorkspaceId);

        var refusal = await Assert.ThrowsAsync<RefusedException>(() => Portal.Service<ChangeDeployment>().RunAsync(viewer, new(deployed.Starter.Id, ChangeDeployment.Change.Stop), None));
        Assert.Equal("not-allowed", refusal.Error.Code);
    }
}
