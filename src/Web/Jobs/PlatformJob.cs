using Quartz;

namespace TokenMill.Web.Jobs;

/// <summary>The only kind of job Quartz knows: it carries the id of a job whose state and content lie in the platform's database.</summary>
[DisallowConcurrentExecution]
public sealed class PlatformJob(JobRunner runner) : IJob
{
    public ValueTask Execute(IJobExecutionContext context, CancellationToken cancellationToken) =>
        new(runner.RunAsync(JobScheduler.JobOf(context.JobDetail.Key), cancellationToken));
}
