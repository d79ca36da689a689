namespace TokenMill.Web.Features.Playground;

/// <summary>Chat with deployments in the browser.</summary>
public static class PlaygroundFeature
{
    public static IServiceCollection AddPlayground(this IServiceCollection services)
    {
        services.AddSingleton<Generations>();
        services.AddHostedService(provider => provider.GetRequiredService<Generations>());
        services.AddScoped<StartGeneration>();
        return services;
    }

    public static void MapPlayground(this WebApplication app) => app.MapHub<ChatHub>("/hubs/chat");
}
