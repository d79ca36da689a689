using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Components.Charts;

namespace TokenMill.Web.Features.Home;

/// <summary>What the start page tells of a workspace, read in one go.</summary>
public sealed record HomeSummary
{
    private const int HoursShown = 24;
    private static readonly TimeSpan Recent = TimeSpan.FromDays(7);

    public int Datasets { get; private init; }
    public string? NewestDataset { get; private init; }
    public int BadRows { get; private init; }
    public int RunsActive { get; private init; }
    public int RunsWaiting { get; private init; }
    public int RunsFinished { get; private init; }
    public EvaluationRun? LastEvaluation { get; private init; }
    public int Evaluations { get; private init; }
    public int DeploymentsReady { get; private init; }
    public int DeploymentsStarting { get; private init; }
    public int DeploymentsFailed { get; private init; }
    public long TokensToday { get; private init; }
    public int RequestsToday { get; private init; }
    public bool HasCalledByKey { get; private init; }
    public IReadOnlyList<QueuedWork> Queue { get; private init; } = [];
    public IReadOnlyList<Concern> Concerns { get; private init; } = [];

    /// <summary>Tokens per hour up to now: generated, and prompt tokens that came from the cache. x is the hour, from −23 to 0.</summary>
    public IReadOnlyList<ChartPoint> Generated { get; private init; } = [];
    public IReadOnlyList<ChartPoint> FromCache { get; private init; } = [];

    public static async Task<HomeSummary> ReadAsync(PlatformDbContext db, DateTimeOffset now, TimeZoneInfo zone, CancellationToken cancellationToken)
    {
        var datasets = await db.Datasets.Where(d => d.DeletedAt == null).OrderByDescending(d => d.Id).ToListAsync(cancellationToken);
        var versions = await db.DatasetVersions.OrderByDescending(v => v.Id).Select(v => new { v.DatasetId, v.Number, v.State, v.Rows, v.GoodRows }).ToListAsync(cancellationToken);
        var newest = versions.FirstOrDefault(v => v.State == DatasetVersionState.Ready && datasets.Any(d => d.Id == v.DatasetId));
        var runs = await db.FineTuneRuns.AsNoTracking().OrderByDescending(r => r.Number).ToListAsync(cancellationToken);
        var evaluations = await db.EvaluationRuns.AsNoTracking().OrderByDescending(e => e.Id).ToListAsync(cancellationToken);
        var deployments = await db.Deployments.AsNoTracking().Where(d => d.DeletedAt == null).ToListAsync(cancellationToken);
        var jobs = await db.Jobs.AsNoTracking().Where(j => j.State == JobState.Running || j.State == JobState.Waiting || j.State == JobState.Paused).ToListAsync(cancellationToken);
        var since = now - TimeSpan.FromHours(HoursShown);
        var usage = await db.UsageRecords.Where(u => u.StartedAt > since).Select(u => new { u.StartedAt, u.PromptTokens, u.CachedTokens, u.CompletionTokens }).ToListAsync(cancellationToken);
        var midnight = new DateTimeOffset(TimeZoneInfo.ConvertTime(now, zone).Date, zone.GetUtcOffset(now));
        var today = usage.Where(u => u.StartedAt >= midnight).ToList();
        var hours = usage.ToLookup(u => -(int)Math.Floor((now - u.StartedAt).TotalHours));

        return new HomeSummary
        {
            Datasets = datasets.Count,
            NewestDataset = newest is null ? null : $"{datasets.First(d => d.Id == newest.DatasetId).Name} v{newest.Number}",
            BadRows = newest is null ? 0 : newest.Rows - newest.GoodRows,
            RunsActive = runs.Count(r => r.IsActive),
            RunsWaiting = runs.Count(r => r.State == FineTuneRunState.Queued),
            RunsFinished = runs.Count(r => r.State == FineTuneRunState.Succeeded),
            LastEvaluation = evaluations.FirstOrDefault(),
            Evaluations = evaluations.Count(e => e.State == EvaluationRunState.Succeeded),
            DeploymentsReady = deployments.Count(d => d.State == DeploymentState.Ready),
            DeploymentsStarting = deployments.Count(d => d is { DesiredState: DesiredState.Running, State: not (DeploymentState.Ready or DeploymentState.Failed) }),
            DeploymentsFailed = deployments.Count(d => d.State == DeploymentState.Failed),
            TokensToday = today.Sum(u => (long)u.PromptTokens + u.CompletionTokens),
            RequestsToday = today.Count,
            HasCalledByKey = await db.UsageRecords.AnyAsync(u => u.ApiKeyId != null, cancellationToken),
            Queue = [.. jobs.OrderBy(j => j.State != JobState.Running).ThenByDescending(j => j.Priority).ThenBy(j => j.CreatedAt).Take(6).Select(j => QueuedWork.Of(j, runs, evaluations))],
            Concerns = [.. Concern.Of(runs, now - Recent), .. Concern.Of(evaluations, now - Recent), .. Concern.Of(deployments), .. datasets.SelectMany(d => Concern.Of(d, versions.Where(v => v.DatasetId == d.Id && v.State == DatasetVersionState.Ready).Select(v => (v.Rows, v.GoodRows)).ToList()))],
            Generated = usage.Count == 0 ? [] : PerHour(hour => hours[hour].Sum(u => (double)u.CompletionTokens)),
            FromCache = usage.Count == 0 ? [] : PerHour(hour => hours[hour].Sum(u => (double)u.CachedTokens)),
        };
    }

    private static IReadOnlyList<ChartPoint> PerHour(Func<int, double> sum) => [.. Enumerable.Range(1 - HoursShown, HoursShown).Select(hour => new ChartPoint(hour, sum(hour)))];
}
