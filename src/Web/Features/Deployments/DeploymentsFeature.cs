using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Web.Components;
using TokenMill.Web.Components.Layout;

namespace TokenMill.Web.Features.Deployments;

/// <summary>Model versions kept answering under a name.</summary>
public static class DeploymentsFeature
{
    public static IServiceCollection AddDeployments(this IServiceCollection services)
    {
        services.AddSingleton<RunningDeployments>();
        services.AddSingleton<ParityCheck>();
        services.AddSingleton<ChooseWeights>();
        services.AddSingleton<ReplicaServices>();
        services.AddSingleton<DeploymentSupervisor>();
        services.AddHostedService(provider => provider.GetRequiredService<DeploymentSupervisor>());
        services.AddScoped<DeployModelVersion>();
        services.AddScoped<ChangeDeployment>();
        return services.AddSingleton(new NavigationEntry(PipelineStep.Serve, "Deployments", Links.Deployments, Icons.Deployments)
        {
            Watches = [typeof(Deployment)],
            Count = async (db, cancellationToken) => await db.Deployments.CountAsync(d => d.DeletedAt == null && d.State == DeploymentState.Ready, cancellationToken) is > 0 and var ready ? new NavigationCount(ready) : null,
        });
    }
}
