namespace TokenMill.Web.Features.Datasets;

/// <summary>Datasets: upload, findings by row, rows, token statistics, versions.</summary>
public static class DatasetsFeature
{
    public static IServiceCollection AddDatasets(this IServiceCollection services)
    {
        services.AddSingleton<DatasetImports>();
        services.AddHostedService(provider => provider.GetRequiredService<DatasetImports>());
        services.AddSingleton<DatasetRows>();
        services.AddSingleton<ImportDataset>();
        services.AddSingleton<DeleteDataset>();
        return services;
    }
}
