using Microsoft.Extensions.Localization;
using Radzen;
using TokenMill.Web.Components.Layout;
using TokenMill.Web.Lineage;
using TokenMill.Web.Localisation;

namespace TokenMill.Web.Components;

/// <summary>The frame around all pages: layout, shared pieces, texts, live updates.</summary>
public static class PortalFeature
{
    private const long MaxHubMessageBytes = 64 * 1024;

    public static IServiceCollection AddPortal(this IServiceCollection services)
    {
        services.AddRazorComponents().AddInteractiveServerComponents(options =>
        {
            options.DisconnectedCircuitMaxRetained = 100;
            options.DisconnectedCircuitRetentionPeriod = TimeSpan.FromMinutes(3);
        }).AddHubOptions(hub => hub.MaximumReceiveMessageSize = MaxHubMessageBytes);
        services.AddRadzenComponents();
        services.AddSingleton<IStringLocalizer, Localizer>();
        services.AddScoped<Display>().AddScoped<ConfirmDialog>().AddScoped<LineageTracer>().AddScoped<SearchIndex>();
        return services;
    }

    public static void MapPortal(this WebApplication app)
    {
        app.MapStaticAssets().AllowAnonymous();
        app.MapRazorComponents<App>().AddInteractiveServerRenderMode(options => options.ContentSecurityFrameAncestorsPolicy = null);
    }
}
