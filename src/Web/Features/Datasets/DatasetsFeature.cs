using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Web.Components;
using TokenMill.Web.Components.Layout;
using TokenMill.Web.Components.Upload;

namespace TokenMill.Web.Features.Datasets;

/// <summary>Datasets: upload, findings by row, rows, token statistics, versions.</summary>
public static class DatasetsFeature
{
    public static IServiceCollection AddDatasets(this IServiceCollection services)
    {
        services.AddSingleton<UploadStore>();
        services.AddSingleton<DatasetImports>();
        services.AddHostedService(provider => provider.GetRequiredService<DatasetImports>());
        services.AddSingleton<DatasetRows>();
        services.AddSingleton<ImportDataset>();
        services.AddSingleton<DeleteDataset>();
        services.AddSingleton<CountTokens>();
        services.AddSingleton<TokenCounts>();
        services.AddHostedService(provider => provider.GetRequiredService<TokenCounts>());
        services.AddSingleton(new NavigationEntry(PipelineStep.Data, "Datasets", Links.Datasets, Icons.Datasets)
        {
            OnPhoneBar = true,
            Watches = [typeof(Dataset)],
            Count = async (db, cancellationToken) => await db.Datasets.CountAsync(d => d.DeletedAt == null, cancellationToken) is > 0 and var count ? new NavigationCount(count) : null,
        });
        return services;
    }
}
