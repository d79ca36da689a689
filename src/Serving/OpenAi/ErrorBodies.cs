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
                // The client is gone, and its request has ended with it.
            }
            catch (Exception e) when (!context.Response.HasStarted)
            {
                var (status, error) = Map(e);
                if (status == StatusCodes.Status500InternalServerError) LogFailure(logger, e, context.TraceIdentifier);
                if (error.RetryAfter is { } wait) context.Response.Headers.RetryAfter = $"{Math.Ceiling(wait.TotalSeconds):0}";
                await context.WriteErrorAsync(status, error);
            }
        });
    }

    /// <summary>For routes that do not exist, and methods they do not have.</summary>
    public static void UseNotFound(this WebApplication app) =>
        app.MapFallback(context => context.WriteErrorAsync(StatusCodes.Status404NotFound, new Error("unknown-url", $"there is no {context.Request.Method} {context.Request.Path}", "the API is at /v1")));

    public static Task WriteErrorAsync(this HttpContext context, int status, Error error)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(ErrorBody.Of(error, status), Json.Options, context.RequestAborted);
    }

    public static (int Status, Error Error) Map(Exception exception) => exception switch
    {
        RefusedException e => (Status(e.Error.Code), e.Error),
        JsonException e => (StatusCodes.Status400BadRequest, JsonError(e)),
        TemplateException e => (StatusCodes.Status400BadRequest, new Error("chat-template-refused", $"the model's chat template does not take this conversation: {e.Message}", "check the order and the roles of the messages") { Field = "messages" }),
        BadHttpRequestException e => (e.StatusCode, new Error("invalid-request", e.Message, "")),
        _ => (StatusCodes.Status500InternalServerError, new Error("internal-error", "the server failed at this request", "its log has more under the request id")),
    };

    private static int Status(string code) => code switch
    {
        "model-not-found" or "state-not-held" or "adapter-removed" or "request-not-found" => StatusCodes.Status404NotFound,
        "not-the-owner" => StatusCodes.Status403Forbidden,
        "adapter-exists" => StatusCodes.Status409Conflict,
        "engine-busy" => StatusCodes.Status429TooManyRequests,
        "engine-stopped" or "engine-failed" => StatusCodes.Status503ServiceUnavailable,
        "cache-exhausted" or "adapter-unreadable" or "state-not-saved" => StatusCodes.Status500InternalServerError,
        _ => StatusCodes.Status400BadRequest,
    };

    // The reader's own message for a wrong type names .NET types; its path ("$.messages[0].role") says which value it was.
    private static Error JsonError(JsonException e)
    {
        var field = e.Path?.TrimStart('$').TrimStart('.') is { Length: > 0 } path ? path : null;
        if (e.InnerException is InvalidOperationException cut && cut.Message.Contains("UTF-16", StringComparison.Ordinal)) return new Error("invalid-text", "a text of the request holds half a surrogate pair, which is no character", "send whole characters") { Field = field };
        return field is not null && e.Message.Contains("could not be converted", StringComparison.Ordinal)
            ? new Error("wrong-type", $"{field} has the wrong type", "see the API's description of this field") { Field = field }
            : new Error("invalid-json", $"the request is not understood: {e.Message}", "send one JSON object with the fields of the API") { Field = field };
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "request {RequestId} failed")]
    private static partial void LogFailure(ILogger logger, Exception exception, string requestId);
}
