using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Jobs;

/// <summary>
/// Makes the queue whole. Before Quartz starts: what an earlier process left as running waits again (the lock on the data directory
/// says that there is no other process). While it runs: whatever waits without a trigger gets one, so that a crash between
/// writing a job and scheduling it, a lost Quartz file, or a job written by a portal elsewhere only costs seconds.
/// </summary>
public sealed partial class JobRecovery(PlatformDatabase database, JobScheduler scheduler, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<JobRecovery> log) : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        var requeued = await database.WriteAsync(WorkspaceScope.All, async db =>
        {
            var orphans = await db.Jobs.Where(j => j.State == JobState.Running).ToListAsync(cancellationToken);
            foreach (var job in orphans) job.Requeue("The platform ended while it ran; it goes on from its last saved state");
            return orphans.Count;
        }, cancellationToken);
        if (requeued > 0) LogRequeued(log, requeued);
        await base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var started = new TaskCompletionSource();
        using var _ = lifetime.ApplicationStarted.Register(started.SetResult);
        await started.Task.WaitAsync(stoppingToken);
        using var timer = new PeriodicTimer(Period, time);
        do
        {
            try
            {
                await ScheduleMissingAsync(stoppingToken);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogPassFailed(log, e);                       // the database may be gone for a while: the next pass finds what this one missed
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
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
