using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Jobs;

/// <summary>A job as the queue shows it.</summary>
/// <param name="Job">Its state; a finished one has no place.</param>
/// <param name="Workspace">Whose it is.</param>
/// <param name="Position">1 is the first that runs or will run.</param>
/// <param name="Progress">0…1 while it is known.</param>
/// <param name="ReadyAt">When it ends, as far as it is known.</param>
/// <param name="Blocker">What runs in its place, while it waits.</param>
/// <param name="BlockerEndsAt">When that ends, as far as it is known.</param>
public sealed record QueueEntry(Job Job, string Workspace, int? Position, double? Progress, DateTimeOffset? ReadyAt, Job? Blocker, DateTimeOffset? BlockerEndsAt);

/// <summary>The queue in its order: running, waiting (first to run first), paused, then what has ended within a day.</summary>
public sealed class QueueView(PlatformDatabase database, TimeProvider time)
{
    private static readonly TimeSpan History = TimeSpan.FromDays(1);
    private const int MaxEnded = 100;

    public async Task<IReadOnlyList<QueueEntry>> ReadAsync(WorkspaceScope scope, CancellationToken cancellationToken)
    {
        await using var db = database.Open(scope);
        await using var everything = database.Open(WorkspaceScope.All);      // the place in the queue counts everyone's jobs; only the own ones are shown
        var now = time.GetUtcNow();
        var since = now - History;
        var open = await everything.Jobs.AsNoTracking().Where(j => j.State == JobState.Running || j.State == JobState.Waiting || j.State == JobState.Paused).ToListAsync(cancellationToken);
        var ended = await db.Jobs.AsNoTracking().Where(j => j.FinishedAt > since).OrderByDescending(j => j.FinishedAt).Take(MaxEnded).ToListAsync(cancellationToken);
        var names = await everything.Workspaces.AsNoTracking().ToDictionaryAsync(w => w.Id, w => w.Name, cancellationToken);
        var progress = await ProgressAsync(everything, [.. open.Where(j => j.State == JobState.Running)], now, cancellationToken);

        var line = open.OrderBy(j => j.State switch { JobState.Running => 0, JobState.Waiting => 1, _ => 2 }).ThenByDescending(j => j.Priority).ThenBy(j => j.CreatedAt).ToList();
        var entries = line.Select((job, index) =>
        {
            var (share, readyAt) = progress.GetValueOrDefault(job.Id);
            var blocker = job.State == JobState.Waiting ? line.Find(other => other.State == JobState.Running && JobScheduler.SharesRoom(other, job)) : null;
            return new QueueEntry(job, names.GetValueOrDefault(job.WorkspaceId, ""), job.State == JobState.Paused ? null : index + 1, share, readyAt, blocker, blocker is null ? null : progress.GetValueOrDefault(blocker.Id).ReadyAt);
        });
        return [.. entries.Where(e => scope.SeesAll || e.Job.WorkspaceId == scope.Id), .. ended.Select(job => new QueueEntry(job, names.GetValueOrDefault(job.WorkspaceId, ""), null, null, null, null, null))];
    }

    private static async Task<Dictionary<JobId, (double? Share, DateTimeOffset? ReadyAt)>> ProgressAsync(PlatformDbContext db, List<Job> running, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var found = new Dictionary<JobId, (double?, DateTimeOffset?)>();
        foreach (var job in running)
        {
            switch (job.Kind)
            {
                case JobKind.FineTune when await db.FineTuneRuns.AsNoTracking().FirstOrDefaultAsync(r => r.Id == FineTuneRunId.From(job.SubjectId), cancellationToken) is { TotalSteps: > 0 } run:
                    found[job.Id] = ((double)run.Step / run.TotalSteps, run.RemainingSeconds is { } seconds ? now.AddSeconds(seconds) : null);
                    break;
                case JobKind.Evaluation when await db.EvaluationRuns.AsNoTracking().FirstOrDefaultAsync(r => r.Id == EvaluationRunId.From(job.SubjectId), cancellationToken) is { TotalItems: > 0 } evaluation:
                    var share = (double)evaluation.CompletedItems / evaluation.TotalItems;
                    found[job.Id] = (share, share > 0.02 && evaluation.StartedAt is { } started ? started + (now - started) / share : null);
                    break;
            }
        }
        return found;
    }
}
