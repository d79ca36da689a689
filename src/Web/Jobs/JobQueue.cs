using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Jobs;

/// <summary>
/// What people do with jobs. Every call names the scope it may see: a workspace's members their own jobs, administrators of the
/// machine all of them. What cannot be seen is not there.
/// </summary>
public sealed class JobQueue(PlatformDatabase database, IEnumerable<IJobHandler> handlers, JobScheduler scheduler, TimeProvider time)
{
    private readonly Dictionary<JobKind, IJobHandler> _handlers = handlers.ToDictionary(h => h.Kind);

    /// <summary>Call after the job was added and committed together with its subject.</summary>
    public Task WakeAsync(Job job, CancellationToken cancellationToken) => scheduler.ScheduleAsync(job, TimeSpan.Zero, cancellationToken);

    public async Task<Result> CancelAsync(WorkspaceScope scope, JobId id, CancellationToken cancellationToken)
    {
        if (await FindAsync(scope, id, cancellationToken) is not { } job) return NotFound;
        var asked = await _handlers[job.Kind].CancelAsync(job, cancellationToken);
        if (!asked.IsOk) return asked;
        return await ChangeIdleAsync(scope, id, j => j.Cancel(time.GetUtcNow()), cancellationToken);
    }

    public async Task<Result> PauseAsync(WorkspaceScope scope, JobId id, string reason, CancellationToken cancellationToken)
    {
        if (await FindAsync(scope, id, cancellationToken) is not { } job) return NotFound;
        var asked = await _handlers[job.Kind].PauseAsync(job, cancellationToken);
        if (!asked.IsOk) return asked;
        return await ChangeIdleAsync(scope, id, j => j.Pause(reason), cancellationToken);
    }

    /// <summary>Resumes a paused job, or tries a failed one again from its last saved state.</summary>
    public async Task<Result> ResumeAsync(WorkspaceScope scope, JobId id, CancellationToken cancellationToken)
    {
        if (await FindAsync(scope, id, cancellationToken) is not { } job) return NotFound;
        var prepared = await _handlers[job.Kind].ResumeAsync(job, cancellationToken);
        if (!prepared.IsOk) return prepared;
        var requeued = await database.TryWriteAsync(scope, async db => (await db.Jobs.FirstAsync(j => j.Id == id, cancellationToken)).Requeue(""), cancellationToken);
        if (requeued.IsOk) await WakeAsync(job, cancellationToken);
        return requeued;
    }

    public async Task<Job?> FindAsync(WorkspaceScope scope, JobId id, CancellationToken cancellationToken)
    {
        await using var db = database.Open(scope);
        return await db.Jobs.AsNoTracking().FirstOrDefaultAsync(j => j.Id == id, cancellationToken);
    }

    public async Task<Job?> FindForAsync(WorkspaceScope scope, JobKind kind, Guid subjectId, CancellationToken cancellationToken)
    {
        await using var db = database.Open(scope);
        return await db.Jobs.AsNoTracking().Where(j => j.Kind == kind && j.SubjectId == subjectId).OrderByDescending(j => j.CreatedAt).FirstOrDefaultAsync(cancellationToken);
    }

    /// <summary>A running job changes its state itself, when its handler has obeyed; one that waits or is paused is changed here.</summary>
    private async Task<Result> ChangeIdleAsync(WorkspaceScope scope, JobId id, Func<Job, Result> change, CancellationToken cancellationToken)
    {
        var result = await database.TryWriteAsync(scope, async db =>
        {
            var job = await db.Jobs.FirstAsync(j => j.Id == id, cancellationToken);
            return job.State is JobState.Running || job.IsFinished ? Result.Ok : change(job);
        }, cancellationToken);
        if (await FindAsync(scope, id, cancellationToken) is { State: not (JobState.Running or JobState.Waiting) }) await scheduler.UnscheduleAsync(id, cancellationToken);
        return result;
    }

    private static Error NotFound => new("job-not-found", "There is no such job", "reload the queue");
}
