using TokenMill.Shared.Domain;
using TokenMill.Web.Components;
using TokenMill.Web.Components.Layout;

namespace TokenMill.Web.Features.Admin;

/// <summary>People, keys and settings of a workspace.</summary>
public static class AdminFeature
{
    public static IServiceCollection AddAdmin(this IServiceCollection services)
    {
        services.AddSingleton(new NavigationEntry(PipelineStep.Run, "Settings", Links.Settings, Icons.Settings) { Order = 90 });
        return services;
    }

    public static void MapAdmin(this WebApplication app)
    {
    }
}
