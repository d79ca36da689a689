using TokenMill.Web.Jobs;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>Fine-tunes: start, follow, pause, resume, cancel, clone; each run is a job in the queue and a process of the trainer.</summary>
public static class FineTuningFeature
{
    public static IServiceCollection AddFineTuning(this IServiceCollection services, string dataFolder)
    {
        services.AddSingleton(new RunFolders(dataFolder));
        services.AddSingleton<ITrainer, LibtorchTrainer>();
        services.AddSingleton<RunPreflight>();
        services.AddSingleton<RegisterResult>();
        services.AddSingleton<StartFineTune>();
        services.AddSingleton<IJobHandler, FineTuneJob>();
        return services;
    }
}
