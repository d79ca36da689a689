namespace TokenMill.Web.Features.Home;

/// <summary>The start page: the pipeline in numbers, what runs, what needs a person.</summary>
public static class HomeFeature
{
    public static IServiceCollection AddHome(this IServiceCollection services) => services;
}
