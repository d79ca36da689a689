namespace TokenMill.Web.Features.Models;

/// <summary>Models: the starter model, imports, what fine-tunes made.</summary>
public static class ModelsFeature
{
    public static IServiceCollection AddModels(this IServiceCollection services)
    {
        services.AddSingleton<SeedStarterModel>();
        services.AddHostedService(provider => provider.GetRequiredService<SeedStarterModel>());
        services.AddSingleton<ImportModel>();
        services.AddSingleton<DeleteModel>();
        return services;
    }
}
