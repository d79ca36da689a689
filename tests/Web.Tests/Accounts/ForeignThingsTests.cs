using System.Net;
using TokenMill.Shared.Domain;
using TokenMill.Web.Components;
using TokenMill.Web.Features.Datasets;
using TokenMill.Web.Features.Evaluation;
using TokenMill.Web.Features.Models;
using TokenMill.Web.Tests.Hosting;

namespace TokenMill.Web.Tests.Accounts;

/// <summary>Pages, files and use cases asked for a thing of another workspace answer as if it did not exist.</summary>
public sealed class ForeignThingsTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task ForeignDatasetModelAndEvaluation_AreNotFound_ByEveryWay()
    {
        await using var portal = await Portal.StartAsync();
        var mine = await portal.AddPersonAsync("mine@example.com", Role.Administrator);
        var theirs = await portal.AddPersonAsync("theirs@example.com", Role.Administrator);
        var now = TimeProvider.System.GetUtcNow();
        var file = Path.Combine(portal.Data.Models, "secret.gguf");
        await File.WriteAllTextAsync(file, "weights of theirs");
        var dataset = new Dataset(DatasetId.New(), theirs.WorkspaceId, "secret-data", theirs.UserId, now);
        var rows = new DatasetVersion(DatasetVersionId.New(), theirs.WorkspaceId, dataset.Id, 1, "a.jsonl", theirs.UserId, now);
        rows.Complete("datasets/a.jsonl", "00", 1, 1, 1, """{"accepted":true,"errors":[],"warnings":[]}""").OrThrow();
        var model = new Model(ModelId.New(), theirs.WorkspaceId, "secret-model", false, theirs.UserId, now);
        var weights = new ModelVersion(ModelVersionId.New(), theirs.WorkspaceId, model.Id, 1, ModelKind.Base, portal.Data.Relative(file), new string('0', 64), 17, now);
        var evaluation = new EvaluationRun(EvaluationRunId.New(), theirs.WorkspaceId, "secret-evaluation", rows.Id, weights.Id, weights.Id, "{}", theirs.UserId, now);
        await portal.Database.WriteAsync(theirs.WorkspaceId, db => { db.AddRange(dataset, rows, model, weights, evaluation); return Task.CompletedTask; }, None);
        var download = $"/models/versions/{weights.Id}/file";

        using (var owner = await portal.BrowserOfAsync("theirs@example.com"))
        {
            Assert.Equal("weights of theirs", await owner.GetStringAsync(download));
            Assert.Contains("secret-model", await owner.GetStringAsync(Links.Model(model.Id)), StringComparison.Ordinal);
        }
        using var browser = await portal.BrowserOfAsync("mine@example.com");
        foreach (var path in new[] { Links.Dataset(dataset.Id), Links.Model(model.Id), Links.Evaluation(evaluation.Id), download })
        {
            var response = await browser.GetAsync(path);
            Assert.Equal((path, HttpStatusCode.NotFound), (path, response.StatusCode));
            Assert.DoesNotContain("secret", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
        foreach (var list in new[] { Links.Datasets, Links.Models, Links.Evaluations, "/evaluations/new" })
            Assert.DoesNotContain("secret", await browser.GetStringAsync(list), StringComparison.Ordinal);
        Assert.Equal("model-not-found", (await portal.Service<StartEvaluation>().HandleAsync(mine, new StartEvaluation.Command(weights.Id, rows.Id, true), None)).Error?.Code);
        Assert.Equal("model-not-found", (await portal.Service<DeleteModel>().RunAsync(mine, model.Id, None)).Error?.Code);
        Assert.False((await portal.Service<DeleteDataset>().RunAsync(mine, dataset.Id, None)).IsOk);
    }
}
