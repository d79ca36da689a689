using System.Collections.Concurrent;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Jobs;

/// <summary>
/// One start of a job, from the queue's side: takes it (only one taker succeeds), lets its handler work, writes down how it ended.
/// </summary>
public sealed partial class JobRunner(PlatformDatabase database, IEnumerable<IJobHandler> handlers, JobScheduler scheduler, TimeProvider time, ILogger<JobRunner> log)
{
    private readonly Dictionary<JobKind, IJobHandler> _handlers = handlers.ToDictionary(h => h.Kind);
    private readonly ConcurrentDictionary<JobId, bool> _running = new();

    /// <summary>Is this process at it? A job that the database calls running and nobody is at was lost.</summary>
    public bool IsRunning(JobId id) => _running.ContainsKey(id);

    public async Task RunAsync(JobId id, CancellationToken cancellationToken)
    {
        if (!_running.TryAdd(id, true)) return;
        try
        {
            if (await TakeAsync(id, cancellationToken) is not { } job) return;     // it ran already, was paused or cancelled: a trigger is only an invitation
            LogStarted(log, job.Kind, id, job.Attempts);
            var outcome = await HandleAsync(job, cancellationToken);
            await RecordAsync(id, outcome);
            LogEnded(log, job.Kind, id, outcome.GetType().Name);
            if (outcome is JobOutcome.Lost lost) await scheduler.ScheduleAsync(job, lost.Pause, CancellationToken.None);
        }
        finally
        {
            _running.TryRemove(id, out _);
        }
    }

    private Task<Job?> TakeAsync(JobId id, CancellationToken cancellationToken) => database.WriteAsync(WorkspaceScope.All, async db =>
    {
        var job = await db.Jobs.FindAsync([id], cancellationToken);
        return job is not null && job.Start(time.GetUtcNow()).IsOk ? job : null;
    }, cancellationToken);

    private async Task<JobOutcome> HandleAsync(Job job, CancellationToken cancellationToken)
    {
        try
        {
            return await _handlers[job.Kind].RunAsync(job, cancellationToken);
        }
        catch (RefusedException e)
        {
            return new JobOutcome.Failed(e.Error);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return new JobOutcome.Interrupted();
        }
        catch (Exception e)
        {
            // A bug must end its own job only; it is in the log with its stack.
            LogBroken(log, e, job.Kind, job.Id);
            return new JobOutcome.Failed(new Error("job-broken", $"The platform met a fault of its own in this job ({e.GetType().Name})", "retry it; if it happens again, report what the log of the portal says at this time"));
        }
    }

    private Task RecordAsync(JobId id, JobOutcome outcome) => database.WriteAsync(WorkspaceScope.All, async db =>
    {
        var job = await db.Jobs.FindAsync(id) ?? throw new InvalidOperationException($"job {id} vanished while it ran");
        var now = time.GetUtcNow();
        _ = outcome switch
        {
            JobOutcome.Succeeded => job.Succeed(now),
            JobOutcome.Failed failed => job.Fail(failed.Error, now),
            JobOutcome.Cancelled => job.Cancel(now),
            JobOutcome.Paused paused => job.Pause(paused.Reason),
            JobOutcome.Lost lost => job.Requeue(lost.Reason),
            JobOutcome.Interrupted => job.Requeue("The platform was stopped; it goes on when the platform is back"),
            _ => throw new NotSupportedException(outcome.GetType().Name),
        };
    }, CancellationToken.None);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Kind} job {JobId} started, attempt {Attempt}")]
    private static partial void LogStarted(ILogger logger, JobKind kind, JobId jobId, int attempt);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Kind} job {JobId} ended: {Outcome}")]
    private static partial void LogEnded(ILogger logger, JobKind kind, JobId jobId, string outcome);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Kind} job {JobId} met an unexpected exception")]
    private static partial void LogBroken(ILogger logger, Exception exception, JobKind kind, JobId jobId);
}
