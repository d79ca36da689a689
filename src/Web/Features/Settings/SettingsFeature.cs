using TokenMill.Shared;
using TokenMill.Web.Components;
using TokenMill.Web.Components.Layout;

namespace TokenMill.Web.Features.Settings;

/// <summary>What a person sets for themselves, and what this installation is.</summary>
public static class SettingsFeature
{
    public static string Notices => Path.Combine(Installation.Home, "THIRD-PARTY-NOTICES.md");

    public static IServiceCollection AddSettings(this IServiceCollection services)
    {
        services.AddSingleton(new NavigationEntry(PipelineStep.Run, "Settings", Links.Settings, Icons.Settings) { Order = 90 });
        return services;
    }

    public static void MapSettings(this WebApplication app) =>
        app.MapGet("/third-party-notices", () => File.Exists(Notices) ? Results.File(Notices, "text/plain; charset=utf-8") : Results.NotFound());
}
