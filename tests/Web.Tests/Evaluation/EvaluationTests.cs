using System.Diagnostics;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Web.Accounts;
using TokenMill.Web.Components;
using TokenMill.Web.Features.Evaluation;
using TokenMill.Web.Features.Models;
using TokenMill.Web.Jobs;
using TokenMill.Web.Tests.Hosting;

namespace TokenMill.Web.Tests.Evaluation;

/// <summary>Evaluations by the real serving program: the starter model against a version with the very same weights, so nothing may differ.</summary>
public sealed class EvaluationTests(ITestOutputHelper output) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private Portal _portal = default!;
    private Actor _owner = default!;
    private ModelVersion _base = default!, _tuned = default!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _portal = await Portal.StartAsync();
        _owner = await _portal.AddPersonAsync("owner@example.com", Role.Member);
        var upload = Path.Combine(_portal.Data.Uploads, Guid.NewGuid().ToString("N"));
        await using (Stream from = File.OpenRead(Installation.StarterModel), to = File.Create(upload)) await from.CopyToAsync(to, Cancelled);
        _base = (await _portal.Service<ImportModel>().RunAsync(_owner, new(null, "starter.gguf", upload), Cancelled)).OrThrow();
        _tuned = new ModelVersion(ModelVersionId.New(), _owner.WorkspaceId, _base.ModelId, 2, ModelKind.Merged, _base.Path, _base.Sha256, _base.SizeBytes, _base.CreatedAt) { BaseVersionId = _base.Id };
        await AddAsync(_tuned);
    }

    public ValueTask DisposeAsync() => _portal.DisposeAsync();

    [Fact]
    public async Task SameWeights_DifferInNothing_AndARowThatIsTooLongIsSetAside()
    {
        var id = await StartAsync(await DatasetAsync(12, tooLong: 5), allRows: true);
        var run = await ReachAsync(id, EvaluationRunState.Succeeded);
        var items = await ItemsAsync(id);

        Assert.Equal((12, 12), (run.TotalItems, run.CompletedItems));
        var aside = Assert.Single(items, i => i.SetAside is not null);
        Assert.Equal((5, "context-length-exceeded"), (aside.Index, aside.SetAside!.Code));
        foreach (var item in items.Except([aside]))
        {
            Assert.Equal(item.BaseAnswer, item.TunedAnswer);
            Assert.InRange(item.ReferenceTokens, 1, 100);
            Assert.True(item.BaseLogLikelihood < 0);
        }
        var metrics = EvaluationSummary.Parse(run.SummaryJson)!.Metrics;
        foreach (var metric in metrics)
        {
            output.WriteLine($"{metric.Name}: {metric.Base:0.000} → {metric.Tuned:0.000}, difference {metric.Difference:0.0e0}");
            Assert.Equal((0, 0, 0), (metric.Difference, metric.Low, metric.High));
        }
        using var browser = await _portal.BrowserOfAsync("owner@example.com");
        var page = WebUtility.HtmlDecode(await browser.GetStringAsync($"{Links.Evaluation(id)}?sort=row"));
        Assert.Contains(aside.SetAside.Message, page, StringComparison.Ordinal);
        Assert.True(page.IndexOf("aria-label=\"Row 1\"", StringComparison.Ordinal) < page.IndexOf("aria-label=\"Row 2\"", StringComparison.Ordinal));
    }

    [Fact]
    public async Task KilledEngine_GoesOn_WithNoItemTwiceOrMissing()
    {
        var id = await StartAsync(await DatasetAsync(60), allRows: true);
        var before = await UntilAsync(id, r => r.CompletedItems > 3);
        Assert.InRange(Kill(), 1, 2);

        var run = await ReachAsync(id, EvaluationRunState.Succeeded);

        output.WriteLine($"killed after {before.CompletedItems} items");
        Assert.InRange(before.CompletedItems, 4, 59);
        Assert.Equal(Enumerable.Range(0, 60), (await ItemsAsync(id)).Select(i => i.Index));
        Assert.Equal(60, run.CompletedItems);
        Assert.Equal(2, (await JobAsync(id)).Attempts);
    }

    [Fact]
    public async Task EngineThatAlwaysDies_EndsTheEvaluation()
    {
        var id = await StartAsync(await DatasetAsync(8), allRows: true);
        var run = await UntilAsync(id, r => { Kill(); return r.IsFinished; });

        Assert.Equal((EvaluationRunState.Failed, "serving-crashed"), (run.State, run.Error?.Code));
        Assert.Equal(EvaluationRun.MaxAttempts, run.Attempts);
        Assert.NotEmpty(run.Error!.Remedy);
    }

    [Fact]
    public async Task Cancel_InTheMiddle_EndsItAndItsEngines_AndNobodyElseMayAsk()
    {
        var stranger = await _portal.AddPersonAsync("stranger@example.com", Role.Administrator);
        var id = await StartAsync(await DatasetAsync(200), allRows: true);
        await UntilAsync(id, r => r.CompletedItems > 1);
        var (queue, job) = (_portal.Service<JobQueue>(), await JobAsync(id));
        Assert.Equal("job-not-found", (await queue.CancelAsync(stranger.WorkspaceId, job.Id, Cancelled)).Error?.Code);
        using (var browser = await _portal.BrowserOfAsync("stranger@example.com"))
        {
            using var page = await browser.GetAsync(Links.Evaluation(id), Cancelled);
            Assert.Equal(HttpStatusCode.NotFound, page.StatusCode);
        }

        (await queue.CancelAsync(_owner.WorkspaceId, job.Id, Cancelled)).OrThrow();

        var run = await ReachAsync(id, EvaluationRunState.Cancelled);
        Assert.InRange(run.CompletedItems, 1, 199);
        Assert.Null(run.SummaryJson);
        for (var i = 0; (await JobAsync(id)).State != JobState.Cancelled && i < 200; i++) await Task.Delay(50, Cancelled);
        Assert.Equal(JobState.Cancelled, (await JobAsync(id)).State);
        Assert.Empty(Engines());
    }

    [Fact]
    public async Task ChangedFile_IsNotLoaded()
    {
        var id = await StartAsync(await DatasetAsync(3), allRows: true, tuned: new(ModelVersionId.New(), _owner.WorkspaceId, _base.ModelId, 3, ModelKind.Merged, _base.Path, new string('0', 64), _base.SizeBytes, _base.CreatedAt) { BaseVersionId = _base.Id });
        Assert.Equal("model-file-changed", (await ReachAsync(id, EvaluationRunState.Failed)).Error?.Code);
    }

    /// <summary>The fine-tune kept nothing aside: a tenth of the rows, at least 20, always the same ones.</summary>
    [Theory]
    [InlineData(8, 8)]
    [InlineData(60, 20)]
    [InlineData(300, 30)]
    public async Task WithoutHeldOutRows_ASampleIsAsked(int count, int expected)
    {
        var dataset = await DatasetAsync(count);
        var options = new EvaluationOptions(null) { IsSample = true };
        var chosen = _portal.Service<EvaluationRows>().Choose(dataset, options, Cancelled).Select(c => c.Index).ToList();

        Assert.Equal(expected, chosen.Count);
        Assert.Equal(chosen, _portal.Service<EvaluationRows>().Choose(dataset, options, Cancelled).Select(c => c.Index));
        if (count > expected) Assert.NotEqual(Enumerable.Range(0, expected), chosen);
        await using var db = _portal.Database.Open(_owner.WorkspaceId);
        var id = await StartAsync(dataset, allRows: false);
        Assert.True(EvaluationOptions.Parse((await db.EvaluationRuns.SingleAsync(r => r.Id == id, Cancelled)).OptionsJson).IsSample);
        await _portal.Service<JobQueue>().CancelAsync(_owner.WorkspaceId, (await JobAsync(id)).Id, Cancelled);
    }

    private async Task<DatasetVersion> DatasetAsync(int count, int tooLong = -1)
    {
        var text = new StringBuilder();
        for (var i = 0; i < count; i++)
        {
            var question = i == tooLong ? string.Concat(Enumerable.Repeat("very long indeed ", 20_000)) : $"What is {i} and {i + 1}?";
            text.Append(new JsonObject { ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = question }, new JsonObject { ["role"] = "assistant", ["content"] = $"It is {2 * i + 1}." }) }.ToJsonString()).Append('\n');
        }
        var path = Path.Combine(_portal.Data.Uploads, Guid.NewGuid().ToString("N"));
        await File.WriteAllTextAsync(path, text.ToString(), Cancelled);
        var now = TimeProvider.System.GetUtcNow();
        var dataset = new Dataset(DatasetId.New(), _owner.WorkspaceId, "rows " + count, _owner.UserId, now);
        var version = new DatasetVersion(DatasetVersionId.New(), _owner.WorkspaceId, dataset.Id, 1, "rows.jsonl", _owner.UserId, now);
        version.Complete(_portal.Data.Relative(path), "00", text.Length, count, count, "{}").OrThrow();
        await AddAsync(dataset, version);
        return version;
    }

    private async Task<EvaluationRunId> StartAsync(DatasetVersion dataset, bool allRows, ModelVersion? tuned = null)
    {
        if (tuned is not null) await AddAsync(tuned);
        return (await _portal.Service<StartEvaluation>().HandleAsync(_owner, new((tuned ?? _tuned).Id, dataset.Id, allRows), Cancelled)).OrThrow();
    }

    private Task AddAsync(params object[] entities) => _portal.Database.WriteAsync(_owner.WorkspaceId, db => { db.AddRange(entities); return Task.CompletedTask; }, Cancelled);

    private async Task<EvaluationRun> ReachAsync(EvaluationRunId id, EvaluationRunState state)
    {
        var run = await UntilAsync(id, r => r.IsFinished);
        Assert.True(run.State == state, $"it is {run.State}: {run.Error}");
        return run;
    }

    private async Task<EvaluationRun> UntilAsync(EvaluationRunId id, Func<EvaluationRun, bool> condition)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            await using (var db = _portal.Database.Open(_owner.WorkspaceId))
                if (await db.EvaluationRuns.AsNoTracking().SingleAsync(r => r.Id == id, Cancelled) is var run && (condition(run) || clock.Elapsed > Patience))
                {
                    Assert.True(condition(run), $"still {run.State} with {run.CompletedItems} of {run.TotalItems} items after {Patience.TotalSeconds} s: {run.Error}");
                    return run;
                }
            await Task.Delay(20, Cancelled);
        }
    }

    private async Task<List<EvaluationItem>> ItemsAsync(EvaluationRunId id)
    {
        await using var db = _portal.Database.Open(_owner.WorkspaceId);
        return await db.EvaluationItems.AsNoTracking().Where(i => i.RunId == id).OrderBy(i => i.Index).ToListAsync(Cancelled);
    }

    private async Task<Job> JobAsync(EvaluationRunId id) => (await _portal.Service<JobQueue>().FindForAsync(_owner.WorkspaceId, JobKind.Evaluation, id.Value, Cancelled))!;

    /// <summary>kill -9 of every serving process of this portal; how many there were.</summary>
    private int Kill()
    {
        var engines = Engines();
        foreach (var engine in engines) engine.Kill();
        return engines.Count;
    }

    /// <summary>Told from those of other tests by the model file in this portal's folder.</summary>
    private List<Process> Engines() => [.. Process.GetProcessesByName("dotnet").Where(IsOurs)];

    private bool IsOurs(Process process)
    {
        try
        {
            var command = File.ReadAllText($"/proc/{process.Id}/cmdline").Split('\0');
            return command.Contains("serve") && command.Contains(_portal.Data.Resolve(_base.Path));
        }
        catch (IOException)
        {
            return false;                                    // it has ended meanwhile
        }
    }
}
