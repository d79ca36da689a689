using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.JsonLines;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Features.Evaluation.Metrics;
using TokenMill.Web.Hosting;
using TokenMill.Web.Jobs;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.Evaluation;

/// <summary>
/// Asks base and tuned the same rows, greedily, through serving processes of its own, and stores each item when it is scored: after
/// a crash only the missing ones are asked.
/// </summary>
public sealed class EvaluationJob(PlatformDatabase database, DataDirectory data, CoreSharing cores, TimeProvider time) : IJobHandler
{
    private const string AdapterName = "tuned";
    private const int AtOnce = 4, MaxItems = 1000;

    public static IReadOnlyList<string> Metrics { get; } = ["f1", "rougeL", "exact_match"];

    public JobKind Kind => JobKind.Evaluation;

    public async Task<JobOutcome> RunAsync(Job job, CancellationToken cancellationToken)
    {
        var id = EvaluationRunId.From(job.SubjectId);
        try
        {
            return await EvaluateAsync(id, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return new JobOutcome.Interrupted();
        }
        catch (RefusedException e)
        {
            await database.WriteAsync(WorkspaceScope.All, async db => (await FindAsync(db, id)).Fail(e.Error, time.GetUtcNow()), CancellationToken.None);
            return new JobOutcome.Failed(e.Error);
        }
        catch (HttpRequestException e)
        {
            return new JobOutcome.Lost($"The serving process ended: {e.Message}", TimeSpan.FromSeconds(5));
        }
    }

    public Task<Result> CancelAsync(Job job, CancellationToken cancellationToken) =>
        database.TryWriteAsync(WorkspaceScope.All, async db => (await FindAsync(db, EvaluationRunId.From(job.SubjectId))).RequestCancel(time.GetUtcNow()), cancellationToken);

    private async Task<JobOutcome> EvaluateAsync(EvaluationRunId id, CancellationToken cancellationToken)
    {
        EvaluationRun run;
        ModelVersion baseModel, tuned;
        DatasetVersion dataset;
        HashSet<int> done;
        await using (var db = database.Open(WorkspaceScope.All))
        {
            run = await FindAsync(db, id);
            (baseModel, tuned) = (await db.ModelVersions.SingleAsync(v => v.Id == run.BaseVersionId, cancellationToken), await db.ModelVersions.SingleAsync(v => v.Id == run.TunedVersionId, cancellationToken));
            dataset = await db.DatasetVersions.SingleAsync(v => v.Id == run.DatasetVersionId, cancellationToken);
            done = [.. await db.EvaluationItems.Where(i => i.RunId == id).Select(i => i.Index).ToListAsync(cancellationToken)];
        }
        var cases = Cases(dataset, EvaluationOptions.Parse(run.OptionsJson), cancellationToken);
        if (cases.Count == 0) throw new RefusedException("nothing-to-ask", "No row of the dataset was kept aside with a reply", "evaluate on all rows");
        await database.WriteAsync(run.WorkspaceId, async db => (await FindAsync(db, id)).Start(cases.Count, time.GetUtcNow()).OrThrow(), cancellationToken);

        await using var baseProcess = await StartAsync(baseModel, tuned.Kind == ModelKind.Adapter ? tuned : null, cancellationToken);
        await using var tunedProcess = tuned.Kind == ModelKind.Adapter ? null : await StartAsync(tuned, null, cancellationToken);
        var (first, second) = (new EvaluatedEngine(baseProcess, null), new EvaluatedEngine(tunedProcess ?? baseProcess, tunedProcess is null ? AdapterName : null));
        using var cancelled = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            await Parallel.ForEachAsync(cases.Where(c => !done.Contains(c.Index)), new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancelled.Token }, async (item, token) =>
            {
                if (await SaveAsync(await ScoreAsync(run, item.Index, item.Case, first, second, token), id, token)) await cancelled.CancelAsync();
            });
        }
        catch (OperationCanceledException) when (cancelled.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            await database.WriteAsync(run.WorkspaceId, async db => (await FindAsync(db, id)).Cancel(time.GetUtcNow()), cancellationToken);
            return new JobOutcome.Cancelled();
        }
        await database.WriteAsync(run.WorkspaceId, async db =>
        {
            var items = await db.EvaluationItems.Where(i => i.RunId == id).OrderBy(i => i.Index).ToListAsync(cancellationToken);
            (await FindAsync(db, id)).Succeed(Json.Serialize(EvaluationSummary.Of(items)), time.GetUtcNow()).OrThrow();
        }, cancellationToken);
        return new JobOutcome.Succeeded();
    }

    private static async Task<EvaluationItem> ScoreAsync(EvaluationRun run, int index, EvaluationCase item, EvaluatedEngine first, EvaluatedEngine second, CancellationToken cancellationToken)
    {
        var baseAnswer = await first.AnswerAsync(item.Prompt, EvaluationOptions.MaxAnswerTokens, cancellationToken);
        var tunedAnswer = await second.AnswerAsync(item.Prompt, EvaluationOptions.MaxAnswerTokens, cancellationToken);
        return new EvaluationItem(run.WorkspaceId, run.Id, index, item.Prompt.ToJsonString(Json.Options), item.Reference)
        {
            BaseAnswer = baseAnswer,
            TunedAnswer = tunedAnswer,
            ScoresJson = new JsonObject { ["base"] = Scores(baseAnswer, item.Reference), ["tuned"] = Scores(tunedAnswer, item.Reference) }.ToJsonString(),
            BaseLogLikelihood = await first.MeanLogLikelihoodAsync(item.Messages, cancellationToken),
            TunedLogLikelihood = await second.MeanLogLikelihoodAsync(item.Messages, cancellationToken),
        };
    }

    private static JsonObject Scores(string answer, string reference) =>
        new(Metrics.Select(name => KeyValuePair.Create<string, JsonNode?>(name, TextMetric.Find(name)!.Score(new ScoredText(answer, [reference])))));

    /// <summary>True: a person wants it to end.</summary>
    private Task<bool> SaveAsync(EvaluationItem item, EvaluationRunId id, CancellationToken cancellationToken) => database.WriteAsync(item.WorkspaceId, async db =>
    {
        db.Add(item);
        var run = await FindAsync(db, id);
        run.RecordProgress(await db.EvaluationItems.CountAsync(i => i.RunId == id, cancellationToken) + 1).OrThrow();
        return run.CancelRequested;
    }, cancellationToken);

    private List<(int Index, EvaluationCase Case)> Cases(DatasetVersion dataset, EvaluationOptions options, CancellationToken cancellationToken)
    {
        var reader = new DatasetReader(data.Resolve(dataset.StorePath!), new DatasetReaderOptions { Format = "messages", Warnings = false });
        var cases = new List<(int, EvaluationCase)>();
        var index = -1;
        foreach (var row in reader.Rows(cancellationToken))
        {
            index++;
            if (options.HeldOut is { } share && !row.IsHeldOut(share)) continue;
            cases.Add((index, EvaluationCase.Of(row.Parse())));
            if (cases.Count == MaxItems) break;
        }
        return cases;
    }

    private async Task<ServingProcess> StartAsync(ModelVersion weights, ModelVersion? adapter, CancellationToken cancellationToken)
    {
        var options = new ServingOptions(data.Resolve(weights.Path)) { Adapters = adapter is null ? [] : [(AdapterName, data.Resolve(adapter.Path))], Parallel = AtOnce, Threads = cores.ServingThreads };
        var process = await ServingProcess.StartAsync(options, time, null, cancellationToken);
        await cores.AddAsync(process, cancellationToken);
        return process;
    }

    private static Task<EvaluationRun> FindAsync(PlatformDbContext db, EvaluationRunId id) => db.EvaluationRuns.SingleAsync(r => r.Id == id);
}
