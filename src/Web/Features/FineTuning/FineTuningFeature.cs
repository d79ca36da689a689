using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Web.Components;
using TokenMill.Web.Components.Layout;
using TokenMill.Web.Jobs;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>Fine-tunes: start, follow, pause, resume, cancel, clone; each run is a job in the queue and a process of the trainer.</summary>
public static class FineTuningFeature
{
    public static IServiceCollection AddFineTuning(this IServiceCollection services)
    {
        services.AddSingleton<ITrainer, LibtorchTrainer>();
        services.AddSingleton<RunFolders>().AddSingleton<RunPreflight>().AddSingleton<RegisterResult>();
        services.AddSingleton<StartFineTune>().AddSingleton<PlanFineTune>().AddSingleton<PauseRun>().AddSingleton<ResumeRun>().AddSingleton<CancelRun>();
        services.AddSingleton<IJobHandler, FineTuneJob>();
        services.AddSignalR();
        return services.AddSingleton(new NavigationEntry(PipelineStep.Tune, "Fine-tunes", Links.FineTunes, Icons.FineTunes)
        {
            Order = 1,
            OnPhoneBar = true,
            Watches = [typeof(FineTuneRun)],
            Count = async (db, cancellationToken) =>
                await db.FineTuneRuns.CountAsync(r => r.State == FineTuneRunState.Starting || r.State == FineTuneRunState.Running, cancellationToken) is var live and > 0 ? new NavigationCount(live, IsLive: true)
                : await db.FineTuneRuns.CountAsync(cancellationToken) is var all and > 0 ? new NavigationCount(all) : null,
        });
    }

    public static void MapFineTuning(this WebApplication app) => app.MapHub<RunHub>(RunHub.Path);
}
