using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Features.Evaluation.Metrics;
using TokenMill.Web.Features.Models;
using TokenMill.Web.Hosting;
using TokenMill.Web.Jobs;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.Evaluation;

/// <summary>
/// Asks base and tuned the same rows, greedily, through serving processes of its own, and stores each item when it is scored: after
/// a crash only the missing ones are asked. One row at a time: what an engine computes depends a little on what else stands in the
/// batch, and that must not look like a difference between the models. A row that cannot be asked is set aside with its reason and ends nothing.
/// </summary>
public sealed partial class EvaluationJob(PlatformDatabase database, DataDirectory data, ModelFiles files, EvaluationRows rows, CoreSharing cores, TimeProvider time, ILogger<EvaluationJob> log) : IJobHandler
{
    private const string AdapterName = "tuned";
    private static readonly TimeSpan CrashPause = TimeSpan.FromSeconds(1);

    private readonly Dictionary<EvaluationRunId, CancellationTokenSource> _running = [];

    public static IReadOnlyList<string> Metrics { get; } = ["f1", "rougeL", "exact_match"];

    public JobKind Kind => JobKind.Evaluation;

    public async Task<JobOutcome> RunAsync(Job job, CancellationToken cancellationToken)
    {
        var id = EvaluationRunId.From(job.SubjectId);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        lock (_running) _running[id] = end;
        try
        {
            var run = await ReadAsync(job, id);
            if (OutcomeOf(run) is { } already) return already;
            await EvaluateAsync(run, end.Token);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await ChangeAsync(job, id, r => r.Interrupt());
            return OutcomeOf(await ReadAsync(job, id)) ?? new JobOutcome.Interrupted();
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // A person wants it to end; below it is written down.
        }
        catch (RefusedException e) when (e.Error.Code is "serving-crashed" or "serving-unresponsive" or "engine-stopped" or "engine-failed")
        {
            await ChangeAsync(job, id, r => r.Lose(e.Error, time.GetUtcNow()));
            return OutcomeOf(await ReadAsync(job, id)) ?? new JobOutcome.Lost($"{e.Error.Message}; it goes on with the items that are missing", CrashPause);
        }
        catch (RefusedException e)
        {
            await ChangeAsync(job, id, r => r.CancelRequested ? r.Cancel(time.GetUtcNow()) : r.Fail(e.Error, time.GetUtcNow()));
        }
        catch (Exception e)
        {
            // A fault of the platform's own (a full disk, a bug) must not leave the run active without a process.
            LogBroken(log, e, id);
            var broken = new Error("evaluation-broken", $"The platform could not go on with the evaluation: {e.Message}", "correct the cause and start a new evaluation; the log of the portal has the details");
            await ChangeAsync(job, id, r => r.Fail(broken, time.GetUtcNow()));
        }
        finally
        {
            lock (_running) _running.Remove(id);
        }
        await ChangeAsync(job, id, r => r.CancelRequested ? r.Cancel(time.GetUtcNow()) : Result.Ok);
        return OutcomeOf(await ReadAsync(job, id)) ?? throw new InvalidOperationException($"evaluation {id} ended without a result");
    }

    public async Task<Result> CancelAsync(Job job, CancellationToken cancellationToken)
    {
        var id = EvaluationRunId.From(job.SubjectId);
        var asked = await database.TryWriteAsync(job.WorkspaceId, async db => (await FindAsync(db, id)).RequestCancel(time.GetUtcNow()), cancellationToken);
        var ending = Task.CompletedTask;
        lock (_running)
            if (asked.IsOk && _running.TryGetValue(id, out var end)) ending = end.CancelAsync();
        await ending;
        return asked;
    }

    private async Task EvaluateAsync(EvaluationRun run, CancellationToken cancellationToken)
    {
        ModelVersion baseModel, tuned;
        DatasetVersion dataset;
        HashSet<int> done;
        await using (var db = database.Open(run.WorkspaceId))
        {
            baseModel = await db.ModelVersions.SingleAsync(v => v.Id == run.BaseVersionId, cancellationToken);
            tuned = await db.ModelVersions.SingleAsync(v => v.Id == run.TunedVersionId, cancellationToken);
            dataset = await db.DatasetVersions.SingleAsync(v => v.Id == run.DatasetVersionId, cancellationToken);
            done = [.. await db.EvaluationItems.Where(i => i.RunId == run.Id).Select(i => i.Index).ToListAsync(cancellationToken)];
        }
        var chosen = rows.Choose(dataset, EvaluationOptions.Parse(run.OptionsJson), cancellationToken);
        if (chosen.Count == 0) throw new RefusedException("nothing-to-ask", "None of the rows of the dataset was kept aside", "evaluate on all rows");
        var started = await database.TryWriteAsync(run.WorkspaceId, async db => (await FindAsync(db, run.Id)).Start(chosen.Count, time.GetUtcNow()), cancellationToken);
        if (!started.IsOk) return;                           // cancelled meanwhile

        foreach (var version in new[] { baseModel, tuned }) await files.RequireUnchangedAsync(version, cancellationToken);
        await using var baseProcess = await StartAsync(baseModel, tuned.Kind == ModelKind.Adapter ? tuned : null, cancellationToken);
        await using var tunedProcess = tuned.Kind == ModelKind.Adapter ? null : await StartAsync(tuned, null, cancellationToken);
        var (first, second) = (new EvaluatedEngine(baseProcess, null), new EvaluatedEngine(tunedProcess ?? baseProcess, tunedProcess is null ? AdapterName : null));
        foreach (var (index, row) in chosen.Where(c => !done.Contains(c.Index)))
            await SaveAsync(await AskAsync(run, index, row, first, second, cancellationToken), cancellationToken);
        await FinishAsync(run, cancellationToken);
    }

    private static async Task<EvaluationItem> AskAsync(EvaluationRun run, int index, JsonNode row, EvaluatedEngine first, EvaluatedEngine second, CancellationToken cancellationToken)
    {
        EvaluationCase? item = null;
        try
        {
            item = EvaluationCase.Of(row);
            return await ScoreAsync(run, index, item, first, second, cancellationToken);
        }
        catch (RowNotAskableException e)
        {
            return new EvaluationItem(run.WorkspaceId, run.Id, index, (item?.Prompt ?? row["messages"]!).ToJsonString(Json.Options), item?.Reference ?? "") { SetAside = e.Error };
        }
    }

    private static async Task<EvaluationItem> ScoreAsync(EvaluationRun run, int index, EvaluationCase item, EvaluatedEngine first, EvaluatedEngine second, CancellationToken cancellationToken)
    {
        var baseAnswer = await first.AnswerAsync(item.Prompt, EvaluationOptions.MaxAnswerTokens, cancellationToken);
        var tunedAnswer = await second.AnswerAsync(item.Prompt, EvaluationOptions.MaxAnswerTokens, cancellationToken);
        var baseLikelihood = await first.ReplyLikelihoodAsync(item.Messages, cancellationToken);
        return new EvaluationItem(run.WorkspaceId, run.Id, index, item.Prompt.ToJsonString(Json.Options), item.Reference)
        {
            BaseAnswer = baseAnswer,
            TunedAnswer = tunedAnswer,
            ScoresJson = new JsonObject { ["base"] = Scores(baseAnswer, item.Reference), ["tuned"] = Scores(tunedAnswer, item.Reference) }.ToJsonString(),
            BaseLogLikelihood = baseLikelihood.Mean,
            TunedLogLikelihood = (await second.ReplyLikelihoodAsync(item.Messages, cancellationToken)).Mean,
            ReferenceTokens = baseLikelihood.Tokens,
        };
    }

    private static JsonObject Scores(string answer, string reference) =>
        new(Metrics.Select(name => KeyValuePair.Create<string, JsonNode?>(name, TextMetric.Find(name)!.Score(new ScoredText(answer, [reference])))));

    private Task SaveAsync(EvaluationItem item, CancellationToken cancellationToken) => database.WriteAsync(item.WorkspaceId, async db =>
    {
        db.Add(item);
        (await FindAsync(db, item.RunId)).RecordProgress(await db.EvaluationItems.CountAsync(i => i.RunId == item.RunId, cancellationToken) + 1).OrThrow();
    }, cancellationToken);

    private async Task FinishAsync(EvaluationRun run, CancellationToken cancellationToken)
    {
        await using var db = database.Open(run.WorkspaceId);
        var items = await db.EvaluationItems.AsNoTracking().Where(i => i.RunId == run.Id && i.SetAside == null).OrderBy(i => i.Index).ToListAsync(cancellationToken);
        if (items.Count == 0) throw new RefusedException("nothing-scored", "Every row was set aside: none could be asked and scored", "see the reason at each row, and evaluate on a dataset that fits the model");
        var summary = Json.Serialize(EvaluationSummary.Of(items));
        // Refused when a person cancelled it at the last moment: then it is cancelled.
        await database.TryWriteAsync(run.WorkspaceId, async writing => (await FindAsync(writing, run.Id)).Succeed(summary, time.GetUtcNow()), cancellationToken);
    }

    private async Task<ServingProcess> StartAsync(ModelVersion weights, ModelVersion? adapter, CancellationToken cancellationToken)
    {
        var options = new ServingOptions(data.Resolve(weights.Path)) { Adapters = adapter is null ? [] : [(AdapterName, data.Resolve(adapter.Path))], Parallel = 1, Threads = cores.ServingThreads };
        var process = await ServingProcess.StartAsync(options, time, null, cancellationToken);
        await cores.AddAsync(process, cancellationToken);
        return process;
    }

    /// <summary>What the queue should know, or null while there is something left to do.</summary>
    private static JobOutcome? OutcomeOf(EvaluationRun run) => run.State switch
    {
        EvaluationRunState.Succeeded => new JobOutcome.Succeeded(),
        EvaluationRunState.Failed => new JobOutcome.Failed(run.Error ?? new Error("evaluation-failed", "The evaluation failed", "")),
        EvaluationRunState.Cancelled => new JobOutcome.Cancelled(),
        _ => null,
    };

    private async Task<EvaluationRun> ReadAsync(Job job, EvaluationRunId id)
    {
        await using var db = database.Open(job.WorkspaceId);
        return await db.EvaluationRuns.AsNoTracking().SingleAsync(r => r.Id == id);
    }

    // Not cancellable: what happened is written down even while it ends. Refused: someone was faster, and the state tells the caller.
    private Task ChangeAsync(Job job, EvaluationRunId id, Func<EvaluationRun, Result> change) =>
        database.TryWriteAsync(job.WorkspaceId, async db => change(await FindAsync(db, id)), CancellationToken.None);

    private static Task<EvaluationRun> FindAsync(PlatformDbContext db, EvaluationRunId id) => db.EvaluationRuns.SingleAsync(r => r.Id == id);

    [LoggerMessage(Level = LogLevel.Error, Message = "Evaluation {EvaluationId} met an unexpected exception")]
    private static partial void LogBroken(ILogger logger, Exception exception, EvaluationRunId evaluationId);
}
