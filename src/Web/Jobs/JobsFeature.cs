using Microsoft.EntityFrameworkCore;
using Quartz;
using TokenMill.Shared.Domain;
using TokenMill.Web.Components;
using TokenMill.Web.Components.Layout;
using TokenMill.Web.Hosting;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Jobs;

/// <summary>The queue: Quartz decides when, handlers registered by the features do the work.</summary>
public static class JobsFeature
{
    private const int MaxJobsAtOnce = 8;

    /// <summary>A job scheduled again while it still ends is noticed at the next look only; Quartz's own 30 s would be added to each recovery.</summary>
    private static readonly TimeSpan IdleWait = TimeSpan.FromSeconds(2);

    public static IServiceCollection AddJobs(this IServiceCollection services, DataDirectory data)
    {
        services.AddSingleton<MachineFacts>();
        services.AddSingleton<CoreSharing>();
        services.AddSingleton<JobScheduler>();
        services.AddSingleton<JobRunner>();
        services.AddSingleton<JobQueue>();
        services.AddSingleton<QueueView>();
        services.AddHostedService<JobRecovery>();
        services.AddQuartz(quartz =>
        {
            quartz.ConfigureScheduler(options =>
            {
                options.ShutdownJobInterruption = ShutdownJobInterruption.WhenWaitingForJobs;
                options.IdleWaitTime = IdleWait;
            });
            quartz.UseDefaultThreadPool(MaxJobsAtOnce);
            quartz.UseExecutionLimits(JobScheduler.Limit);
            quartz.UsePersistentStore(store =>
            {
                store.UseSqlite($"Data Source={data.QueueDatabase}");      // a file of its own: neither database waits for the other's writes
                store.ProvisionSchema();
                store.ConfigureStore(options => options.StoreJobDataAsStrings = true);
            });
        });
        services.AddQuartzHostedService(options => options.WaitForJobsToComplete = true);
        return services.AddSingleton(new NavigationEntry(PipelineStep.Run, "Queue", Links.Queue, Icons.Queue)
        {
            Watches = [typeof(Job)],
            Count = async (db, cancellationToken) => await db.Jobs.CountAsync(j => j.State == JobState.Running || j.State == JobState.Waiting, cancellationToken) is var open and > 0 ? new NavigationCount(open) : null,
        });
    }
}
