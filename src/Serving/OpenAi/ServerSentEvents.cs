using System.Buffers;
using System.Text;
using System.Text.Json;
using TokenMill.Shared;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.OpenAi;

/// <summary>Server-sent events as OpenAI writes them: one "data: JSON" line each, then "data: [DONE]".</summary>
internal sealed class ServerSentEvents(HttpContext context)
{
    private static readonly byte[] Start = "data: "u8.ToArray(), End = "\n\n"u8.ToArray(), Done = "data: [DONE]\n\n"u8.ToArray();

    public void Begin()
    {
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        context.Response.Headers.CacheControl = "no-cache";
        context.Response.Headers["X-Accel-Buffering"] = "no";
    }

    /// <param name="name">Of the event; null: it has none, as in completions.</param>
    public async Task SendAsync<T>(T value, string? name = null)
    {
        var writer = context.Response.BodyWriter;
        if (name is not null) writer.Write(Encoding.UTF8.GetBytes($"event: {name}\n"));
        writer.Write(Start);
        writer.Write(JsonSerializer.SerializeToUtf8Bytes(value, Json.Options));
        writer.Write(End);
        await writer.FlushAsync(context.RequestAborted);
        context.RequestAborted.ThrowIfCancellationRequested();
    }

    /// <summary>The stream has begun, so that the status can no longer tell: an event does.</summary>
    public Task SendErrorAsync(Exception exception)
    {
        var (status, error) = ErrorBodies.Map(exception);
        return SendAsync(ErrorBody.Of(error, status));
    }

    public async Task FinishAsync()
    {
        context.Response.BodyWriter.Write(Done);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }
}
