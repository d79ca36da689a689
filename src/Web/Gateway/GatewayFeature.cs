using TokenMill.Web.Features.Deployments;

namespace TokenMill.Web.Gateway;

/// <summary>The public API: OpenAI's, on the portal's port, by API key.</summary>
public static class GatewayFeature
{
    public static IServiceCollection AddGateway(this IServiceCollection services)
    {
        services.AddSingleton<ApiKeyVerifier>();
        services.AddSingleton<UsageLedger>();
        services.AddHostedService(provider => provider.GetRequiredService<UsageLedger>());
        services.AddScoped<ForwardRequest>();
        return services;
    }

    public static void MapGateway(this WebApplication app)
    {
        var api = app.MapGroup("/v1").AddEndpointFilter<ApiKeyFilter>().AllowAnonymous().DisableAntiforgery();
        api.MapGet("/models", ListModels.RunAsync);
        api.MapGet("/models/{name}", ListModels.OneAsync);
        foreach (var path in new[] { "/chat/completions", "/completions", "/responses", "/embeddings" })
            api.MapPost(path, (HttpContext http, ForwardRequest forward) => forward.RunAsync(http, "/v1" + path, http.RequestAborted));
        api.MapFallback(() => OpenAiError.Result(StatusCodes.Status404NotFound, "not_found", "There is no such route", null));
    }
}
