using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Jobs;

/// <summary>
/// Makes the queue whole, at the start and every few seconds. What the database calls running though nobody is at it waits again
/// (the lock on the data directory says that there is no other process). Whatever waits without a trigger gets one, so that a
/// crash between writing a job and scheduling it, or a lost Quartz file, only costs seconds.
/// </summary>
public sealed partial class JobRecovery(PlatformDatabase database, JobScheduler scheduler, JobRunner runner, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<JobRecovery> log) : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var started = new TaskCompletionSource();
        using var _ = lifetime.ApplicationStarted.Register(started.SetResult);
        await started.Task.WaitAsync(stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (stoppingToken.IsCancellationRequested) return;       // the platform did not come up, for instance since its port is taken
        using var timer = new PeriodicTimer(Period, time);
        do
        {
            try
            {
                await RequeueLostAsync(stoppingToken);
                await ScheduleMissingAsync(stoppingToken);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogPassFailed(log, e);                       // the database may be gone for a while: the next pass finds what this one missed
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task RequeueLostAsync(CancellationToken cancellationToken)
    {
        await using (var db = database.Open(WorkspaceScope.All))
            if (!(await db.Jobs.Where(j => j.State == JobState.Running).Select(j => j.Id).ToListAsync(cancellationToken)).Exists(id => !runner.IsRunning(id))) return;
        var requeued = await database.WriteAsync(WorkspaceScope.All, async db =>
        {
            var lost = (await db.Jobs.Where(j => j.State == JobState.Running).ToListAsync(cancellationToken)).Where(j => !runner.IsRunning(j.Id)).ToList();
            foreach (var job in lost) job.Requeue("The platform ended while it ran; it goes on from its last saved state");
            return lost.Count;
        }, cancellationToken);
        if (requeued > 0) LogRequeued(log, requeued);
    }

    private async Task ScheduleMissingAsync(CancellationToken cancellationToken)
    {
        await using var db = database.Open(WorkspaceScope.All);
        var waiting = await db.Jobs.AsNoTracking().Where(j => j.State == JobState.Waiting).OrderBy(j => j.CreatedAt).ToListAsync(cancellationToken);
        foreach (var job in waiting)
            if (!await scheduler.IsScheduledAsync(job.Id, cancellationToken)) await scheduler.ScheduleAsync(job, TimeSpan.Zero, cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Count} jobs were running when the platform ended; they wait again")]
    private static partial void LogRequeued(ILogger logger, int count);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The queue could not be looked through")]
    private static partial void LogPassFailed(ILogger logger, Exception exception);
}
