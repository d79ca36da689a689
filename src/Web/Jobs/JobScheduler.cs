using Quartz;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Jobs;

/// <summary>
/// Quartz as the queue sees it: which job runs next, on which resource, how many at once. Its store knows ids only,
/// so it can be lost without losing anything: <see cref="JobRecovery"/> schedules again whatever waits.
/// </summary>
public sealed class JobScheduler(ISchedulerFactory schedulers, TimeProvider time)
{
    private const string Light = "light";
    private const int MaxLightJobs = 2;
    private const int NormalPriority = 5;                    // Quartz's own default; ours is counted from 0

    /// <summary>Lets the job run as soon as its group has room, not before <paramref name="pause"/> is over. Asking twice changes nothing.</summary>
    public async Task ScheduleAsync(Job job, TimeSpan pause, CancellationToken cancellationToken)
    {
        var scheduler = await schedulers.GetScheduler(cancellationToken);
        var detail = JobBuilder.Create<PlatformJob>().WithIdentity(KeyOf(job.Id)).RequestRecovery().Build();
        var trigger = TriggerBuilder.Create()
            .WithIdentity(job.Id.ToString())
            .ForJob(detail)
            .WithExecutionGroup(GroupOf(job))
            .WithPriority(NormalPriority + job.Priority)
            .StartAt(time.GetUtcNow() + pause)
            .Build();
        await scheduler.ScheduleJob(detail, trigger, new ScheduleJobOptions { Replace = true }, cancellationToken);
    }

    public async Task<bool> IsScheduledAsync(JobId id, CancellationToken cancellationToken)
    {
        var scheduler = await schedulers.GetScheduler(cancellationToken);
        return (await scheduler.GetTriggersOfJob(KeyOf(id), cancellationToken)).Count > 0;
    }

    public async Task UnscheduleAsync(JobId id, CancellationToken cancellationToken)
    {
        var scheduler = await schedulers.GetScheduler(cancellationToken);
        await scheduler.UnscheduleJob(new TriggerKey(id.ToString()), cancellationToken);
    }

    /// <summary>Training takes all cores or a whole GPU, so one at a time each; anything else is small beside it and must not wait for hours.</summary>
    public static void Limit(ExecutionLimitsBuilder limits) => limits.ForGroup(Name(ExecutionGroup.Cpu), 1).ForGroup(Name(ExecutionGroup.Gpu), 1).ForGroup(Light, MaxLightJobs);

    /// <summary>Does one keep the other waiting?</summary>
    public static bool SharesRoom(Job running, Job waiting) => GroupOf(running) == GroupOf(waiting);

    private static string GroupOf(Job job) => job.Kind == JobKind.FineTune ? Name(job.ExecutionGroup) : Light;

    private static string Name(ExecutionGroup group) => group.ToString().ToLowerInvariant();

    public static JobId JobOf(JobKey key) => JobId.From(Guid.Parse(key.Name));

    private static JobKey KeyOf(JobId id) => new(id.ToString());
}
