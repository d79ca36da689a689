namespace TokenMill.Web.Features.Deployments;

/// <summary>Model versions kept answering under a name.</summary>
public static class DeploymentsFeature
{
    public static IServiceCollection AddDeployments(this IServiceCollection services)
    {
        services.AddSingleton<RunningDeployments>();
        services.AddSingleton<ParityCheck>();
        services.AddSingleton<ReplicaServices>();
        services.AddSingleton<DeploymentSupervisor>();
        services.AddHostedService(provider => provider.GetRequiredService<DeploymentSupervisor>());
        services.AddScoped<DeployModelVersion>();
        services.AddScoped<ChangeDeployment>();
        return services;
    }
}
