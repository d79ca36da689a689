using TokenMill.Shared;
using TokenMill.Web.Components;
using TokenMill.Web.Components.Layout;

namespace TokenMill.Web.Features.Playground;

/// <summary>Chat with deployments in the browser.</summary>
public static class PlaygroundFeature
{
    /// <summary>The browser's half of SignalR, as set-up fetched it.</summary>
    public const string ClientPath = "/lib/signalr.js";

    private static string ClientFile => Path.Combine(Installation.Native, "npm", "signalr.min.js");

    public static IServiceCollection AddPlayground(this IServiceCollection services)
    {
        services.AddSingleton<Generations>();
        services.AddHostedService(provider => provider.GetRequiredService<Generations>());
        services.AddScoped<StartGeneration>();
        services.AddScoped<StopGeneration>();
        return services.AddSingleton(new NavigationEntry(PipelineStep.Serve, "Playground", Links.Playground, Icons.Playground) { Order = 1, OnPhoneBar = true });
    }

    public static void MapPlayground(this WebApplication app)
    {
        app.MapHub<ChatHub>(ChatHub.Path);
        app.MapGet(ClientPath, () => File.Exists(ClientFile) ? Results.File(ClientFile, "text/javascript") : Results.NotFound()).AllowAnonymous();
    }
}
