using Quartz;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Jobs;

/// <summary>The queue: Quartz decides when, handlers registered by the features do the work.</summary>
public static class JobsFeature
{
    private const int MaxJobsAtOnce = 8;

    /// <param name="quartzPath">Quartz's own SQLite file: its writes never wait for the platform's, nor the other way round.</param>
    public static IServiceCollection AddJobs(this IServiceCollection services, string quartzPath)
    {
        services.AddSingleton<MachineFacts>();
        services.AddSingleton<CoreSharing>();
        services.AddSingleton<ChangeFeed>();
        services.AddSingleton<JobScheduler>();
        services.AddSingleton<JobRunner>();
        services.AddSingleton<JobQueue>();
        services.AddHostedService<JobRecovery>();
        services.AddQuartz(quartz =>
        {
            quartz.ConfigureScheduler(options => options.ShutdownJobInterruption = ShutdownJobInterruption.WhenWaitingForJobs);
            quartz.UseDefaultThreadPool(MaxJobsAtOnce);
            quartz.UseExecutionLimits(JobScheduler.Limit);
            quartz.UsePersistentStore(store =>
            {
                store.UseSqlite($"Data Source={quartzPath}");
                store.ProvisionSchema();
                store.ConfigureStore(options => options.StoreJobDataAsStrings = true);
            });
        });
        services.AddQuartzHostedService(options => options.WaitForJobsToComplete = true);
        return services;
    }
}
