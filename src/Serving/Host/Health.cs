using TokenMill.Shared;

namespace TokenMill.Serving.Host;

/// <summary>GET /health and GET /metrics.</summary>
internal static class Health
{
    public static void MapHealth(this IEndpointRouteBuilder app, ServedModel model)
    {
        app.MapGet("/health", () => model.Engine.Ended.IsCompleted
            ? Results.Json(new { Status = "stopped" }, Json.Options, statusCode: StatusCodes.Status503ServiceUnavailable)
            : Results.Json(new { Status = "ok", Model = model.Name, model.Engine.Metrics.Running, model.Engine.Metrics.Waiting }, Json.Options));
        app.MapGet("/metrics", () => Results.Text(PrometheusText.Write(model.Engine.Metrics, model.Name), PrometheusText.ContentType));
    }
}
