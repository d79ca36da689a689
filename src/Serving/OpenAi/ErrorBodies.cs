using System.Text.Json;
using TokenMill.Serving.Host;
using TokenMill.Shared;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Domain;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.OpenAi;

/// <summary>Every failure becomes OpenAI's error body, here and nowhere else.</summary>
internal static partial class ErrorBodies
{
    public static void UseErrorBodies(this WebApplication app)
    {
        var logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(ErrorBodies).FullName!);
        app.Use(async (context, next) =>
        {
            context.Response.Headers["x-request-id"] = context.TraceIdentifier;
            try
            {
                await next(context);
            }
            catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
            {
                // The client is gone; its request has ended with it.
            }
            catch (Exception e)
            {
                var (status, error, param) = Map(e);
                if (status == StatusCodes.Status500InternalServerError) LogFailure(logger, e, context.TraceIdentifier);
                if (context.Response.HasStarted) throw;
                if (e is BusyException busy) context.Response.Headers.RetryAfter = $"{Math.Ceiling(busy.Wait.TotalSeconds):0}";
                await context.WriteErrorAsync(status, error, param);
            }
        });
    }

    /// <summary>For routes that do not exist, and methods they do not have.</summary>
    public static void UseNotFound(this WebApplication app) =>
        app.MapFallback(context => context.WriteErrorAsync(StatusCodes.Status404NotFound, new Error("unknown-url", $"there is no {context.Request.Method} {context.Request.Path}", "the API is at /v1")));

    public static Task WriteErrorAsync(this HttpContext context, int status, Error error, string? param = null)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(ErrorBody.Of(error, status, param), Json.Options, context.RequestAborted);
    }

    public static (int Status, Error Error, string? Param) Map(Exception exception) => exception switch
    {
        InvalidRequestException e => (StatusCodes.Status400BadRequest, e.Error, e.Param),
        UnknownModelException e => (StatusCodes.Status404NotFound, e.Error, "model"),
        BusyException e => (StatusCodes.Status429TooManyRequests, e.Error, null),
        JsonException e => (StatusCodes.Status400BadRequest, new Error("invalid-json", e.Message, "send one JSON object with the fields of the API"), Param(e.Path)),
        TemplateException e => (StatusCodes.Status400BadRequest, new Error("chat-template-refused", $"the model's chat template does not take this conversation: {e.Message}", "check the order and the roles of the messages"), "messages"),
        BadHttpRequestException e => (e.StatusCode, new Error("invalid-request", e.Message, ""), null),
        RefusedException e => (Status(e.Error.Code), e.Error, null),
        _ => (StatusCodes.Status500InternalServerError, new Error("internal-error", "the server failed at this request", "see its log for the request id"), null),
    };

    private static int Status(string code) => code switch
    {
        "engine-stopped" or "engine-failed" => StatusCodes.Status503ServiceUnavailable,
        "cache-exhausted" => StatusCodes.Status500InternalServerError,
        _ => StatusCodes.Status400BadRequest,
    };

    // "$.messages[0].role" → "messages[0].role"
    private static string? Param(string? path) => path is null or "$" ? null : path.TrimStart('$').TrimStart('.');

    [LoggerMessage(Level = LogLevel.Error, Message = "request {RequestId} failed")]
    private static partial void LogFailure(ILogger logger, Exception exception, string requestId);
}
