using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Testing;
using TokenMill.Web.Features.Deployments;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Tests.Deployments;

/// <summary>A deployment whose type of weights is left to measurement: what it finds, offers and makes.</summary>
[Collection(DeployedPortal.Collection)]
public sealed class WeightTypeTests(DeployedPortal deployed, ITestOutputHelper output)
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Measured_OffersTheBetterType_ThenMakesAVersionOfItAndServesThat()
    {
        var path = Path.Combine(deployed.Portal.Data.Uploads, $"wide-{Guid.NewGuid():N}.gguf");
        WriteSinglePrecision(path);
        var given = await deployed.ImportAsync(path);
        var id = await DeployAsync("measured", given.Id, new DeploymentOptions { MeasuresWeights = true });
        var first = await deployed.ReachAsync(id, DeploymentState.Ready);
        var report = deployed.Portal.Service<ChooseWeights>().Known(given)!;
        output.WriteLine(string.Join("; ", report.Rows.Select(r => $"{r.Type}: {r.TokensPerSecond:0} tokens/s, divergence {r.KlDivergence:0.0000}")) + $" → {report.Type}");
        Assert.Equal("F32", report.FileType);
        Assert.Equal(["F32", "Q8_0", "Q4_0"], report.Rows.Select(r => r.Type));
        Assert.Null(await VariantAsync(given));
        Assert.Equal(2, AssertOnlyReports());                  // the one that is shown, and what the measurement remembers
        Remember("F32");
        Assert.Null(await deployed.Portal.Service<ChooseWeights>().MakeAsync(given, None));
        Assert.Contains(report.FileType, (await StepsAsync(id)).Single(s => s.Step == "weights").Reason, StringComparison.Ordinal);

        Remember("Q8_0");
        await deployed.ChangeAsync(id, ChangeDeployment.Change.MakeVariant);
        await DeployedPortal.UntilAsync(async () => await VariantAsync(given) is not null, "the variant");
        var variant = (await VariantAsync(given))!;
        var second = await deployed.ReachAsync(id, DeploymentState.Ready);
        Assert.Equal((given.ModelId, 2, given.Kind, given.Id), (variant.ModelId, variant.Number, variant.Kind, variant.BaseVersionId));
        Assert.True(variant.SizeBytes < given.SizeBytes);
        Assert.Single(Directory.GetFileSystemEntries(Path.GetDirectoryName(deployed.Portal.Data.Resolve(variant.Path))!));
        AssertOnlyReports();
        using (var file = GgufFile.Open(deployed.Portal.Data.Resolve(variant.Path))) Assert.Contains(file.Tensors, t => t.Type == GgufType.Q8_0);
        if (deployed.Portal.Service<MachineFacts>().CanTrain)
            Assert.Equal((given.Sha256, variant.Sha256), (Parity(first).WeightsSha256, Parity(second).WeightsSha256));

        // Whoever deploys the same model next finds the variant there.
        var other = await DeployAsync("measured-too", given.Id, new DeploymentOptions { MeasuresWeights = true, MakesVariant = true });
        await deployed.ReachAsync(other, DeploymentState.Ready);
        Assert.Equal(variant.Id, (await VariantAsync(given))!.Id);
        foreach (var one in new[] { id, other }) await deployed.ChangeAsync(one, ChangeDeployment.Change.Delete);
    }

    [Fact]
    public async Task Measured_WithoutSpaceForTheCandidates_IsRefusedAtOnce()
    {
        var weights = new ModelVersion(ModelVersionId.New(), deployed.Owner.WorkspaceId, ModelId.New(), 1, ModelKind.Base, "models/none.gguf", new string('0', 64), 1L << 60, TimeProvider.System.GetUtcNow());
        var refused = await Assert.ThrowsAsync<RefusedException>(() => deployed.Portal.Service<ChooseWeights>().MeasureAsync(weights, None));
        Assert.Equal("disk-full", refused.Error.Code);
    }

    /// <summary>As if the measurement had chosen this type, however fast the machine is.</summary>
    private void Remember(string type)
    {
        foreach (var path in Directory.GetFiles(deployed.Portal.Data.WeightTypes))
        {
            var choice = JsonNode.Parse(File.ReadAllText(path))!;
            choice["type"] = type;
            File.WriteAllText(path, choice.ToJsonString());
        }
    }

    /// <returns>How many.</returns>
    private int AssertOnlyReports()
    {
        var entries = Directory.GetFileSystemEntries(deployed.Portal.Data.WeightTypes);
        Assert.All(entries, e => Assert.EndsWith(".json", e, StringComparison.Ordinal));
        return entries.Length;
    }

    private async Task<DeploymentId> DeployAsync(string name, ModelVersionId version, DeploymentOptions options) =>
        (await deployed.Portal.Service<DeployModelVersion>().RunAsync(deployed.Owner, new(version, name, options), None)).OrThrow();

    private static ParityReport Parity(Deployment deployment) => Json.Deserialize<ParityReport>(deployment.ParityJson!);

    private async Task<ModelVersion?> VariantAsync(ModelVersion given)
    {
        await using var db = deployed.Portal.Database.Open(deployed.Owner.WorkspaceId);
        return await db.ModelVersions.AsNoTracking().SingleOrDefaultAsync(v => v.BaseVersionId == given.Id);
    }

    private async Task<List<DeploymentStep>> StepsAsync(DeploymentId id)
    {
        await using var db = deployed.Portal.Database.Open(deployed.Owner.WorkspaceId);
        return await db.DeploymentSteps.AsNoTracking().Where(s => s.DeploymentId == id && s.State == DeploymentStepState.Done).OrderBy(s => s.Id).ToListAsync();
    }

    /// <summary>The built-in model with its matrices expanded, so that there is something to win.</summary>
    private static void WriteSinglePrecision(string path)
    {
        using var file = GgufFile.Open(Installation.StarterModel);
        var writer = new GgufWriter();
        writer.CopyPairs(file.Metadata);
        foreach (var tensor in file.Tensors)
        {
            var values = new float[tensor.Elements];
            file.ReadFloats(tensor, values);
            writer.AddTensor(tensor.Name, tensor.Dimensions, values);
        }
        writer.Save(path);
    }
}
