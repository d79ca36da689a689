using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Web.Components;
using TokenMill.Web.Components.Layout;

namespace TokenMill.Web.Features.Models;

/// <summary>Models: the starter model, imports, what fine-tunes made.</summary>
public static class ModelsFeature
{
    public static IServiceCollection AddModels(this IServiceCollection services)
    {
        services.AddSingleton<SeedStarterModel>();
        services.AddHostedService(provider => provider.GetRequiredService<SeedStarterModel>());
        services.AddSingleton<ModelFiles>();
        services.AddSingleton<ImportModel>();
        services.AddSingleton<DeleteModel>();
        services.AddSingleton(new NavigationEntry(PipelineStep.Tune, "Models", Links.Models, Icons.Models)
        {
            Order = -1,
            Watches = [typeof(Model)],
            Count = async (db, cancellationToken) => await db.Models.CountAsync(m => m.DeletedAt == null, cancellationToken) is > 0 and var count ? new NavigationCount(count) : null,
        });
        return services;
    }

    public static void MapModels(this WebApplication app) => app.MapGet("/models/versions/{id:guid}/file", DownloadModel.HandleAsync);
}
