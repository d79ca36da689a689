using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Web.Components;
using TokenMill.Web.Components.Layout;

namespace TokenMill.Web.Features.ApiKeys;

/// <summary>Keys of the public API: made and revoked on a page, verified by the gateway.</summary>
public static class ApiKeysFeature
{
    public static IServiceCollection AddApiKeys(this IServiceCollection services)
    {
        services.AddSingleton<CreateApiKey>().AddSingleton<RevokeApiKey>();
        services.AddSingleton(new NavigationEntry(PipelineStep.Use, "API keys", Links.Keys, Icons.Keys)
        {
            Minimum = Role.Member,
            Watches = [typeof(ApiKey)],
            Count = async (db, cancellationToken) => await db.ApiKeys.CountAsync(k => k.RevokedAt == null, cancellationToken) is > 0 and var count ? new NavigationCount(count) : null,
        });
        return services;
    }
}
