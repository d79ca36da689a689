using TokenMill.Shared;

namespace TokenMill.Serving.Host;

/// <summary>GET /health and GET /metrics.</summary>
internal static class Health
{
    public static void MapHealth(this IEndpointRouteBuilder app, IServed model)
    {
        app.MapGet("/health", () => model.Ended.IsCompleted
            ? Results.Json(new { Status = "stopped" }, Json.Options, statusCode: StatusCodes.Status503ServiceUnavailable)
            : Results.Json(new { Status = "ok", Model = model.Name, model.Metrics.Running, model.Metrics.Waiting }, Json.Options));
        app.MapGet("/metrics", () => Results.Text(PrometheusText.Write(model.Metrics, model.Name), PrometheusText.ContentType));
    }
}
