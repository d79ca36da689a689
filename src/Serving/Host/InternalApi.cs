using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.Features;
using TokenMill.Serving.OpenAi;
using TokenMill.Shared;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Host;

/// <summary>What the platform asks of a serving process beside the public API.</summary>
internal static class InternalApi
{
    private sealed record LogprobsRequest(int[] Ids, string? Adapter);

    private sealed record EncodeRequest(JsonArray? Messages, JsonArray? Tools);

    private sealed record ThreadsRequest(int Threads);

    private sealed record StateRequest(int[]? Ids, JsonArray? Messages, JsonArray? Tools, string? Model, string? Tenant);

    private sealed record EndRequest(string? RequestId);

    public static void MapInternal(this IEndpointRouteBuilder app, ServedModel model, EndableRequests endable, string? secret)
    {
        app.MapPost("/internal/logprobs", async context =>
        {
            var request = await context.ReadBodyAsync<LogprobsRequest>();
            if (request.Ids is not { Length: > 0 }) throw Refusals.Invalid("ids", "there are no token ids", "send {\"ids\": [1, 2, 3]}");
            var scores = await model.ScoreAsync(request.Ids, model.AdapterOf(request.Adapter), context.RequestAborted);
            await context.Response.WriteAsJsonAsync(new { scores.NextTokenLogprob }, Json.Options, context.RequestAborted);
        });
        app.MapPost("/internal/encode", async context =>
        {
            var request = await context.ReadBodyAsync<EncodeRequest>();
            var row = new JsonObject { ["messages"] = ChatMessages.Check(request.Messages ?? []).DeepClone(), ["tools"] = request.Tools?.DeepClone() };
            // The last example holds the last reply, with all that stands before it.
            if (model.Encoder.Examples(row) is not [.., var example]) throw Refusals.Invalid("messages", "the conversation holds no reply", "end it with a message of the assistant");
            await context.Response.WriteAsJsonAsync(new { example.Ids, example.Labels, Pieces = example.Ids.Select(id => model.Vocabulary.Decode([id])) }, Json.Options, context.RequestAborted);
        });
        app.MapPost("/internal/end", async context =>
        {
            var name = (await context.ReadBodyAsync<EndRequest>()).RequestId ?? throw Refusals.Invalid("request_id", "request_id is missing", "send the x-request-id of the request that is to end");
            if (!endable.TryEnd(name)) throw new RefusedException("request-not-found", "no such request is under way", "it has ended, or has not come yet");
        });
        app.MapGet("/internal/adapters", () => Results.Json(new { Adapters = model.Adapters.All.Select(a => a.Name), Loaded = model.Metrics.AdaptersLoaded }, Json.Options));
        app.MapPost("/internal/adapters", async context =>
        {
            RequireOwner(context, secret);
            var adapter = await context.ReadBodyAsync<NamedAdapter>();
            if (string.IsNullOrEmpty(adapter.Name) || string.IsNullOrEmpty(adapter.Path)) throw Refusals.Invalid("name", "an adapter has a name and a path", "send {\"name\": \"tuned\", \"path\": \"/…/adapter.gguf\"}");
            await Task.Run(() => model.AddAdapter(adapter), context.RequestAborted);
            await context.Response.WriteAsJsonAsync(new { adapter.Name }, Json.Options, context.RequestAborted);
        });
        app.MapDelete("/internal/adapters/{name}", (HttpContext context, string name) =>
        {
            RequireOwner(context, secret);
            model.RemoveAdapter(name);
            return Results.Json(new { name, Removed = true }, Json.Options);
        });
        app.MapPost("/internal/state", async context =>
        {
            RequireOwner(context, secret);
            var request = await context.ReadBodyAsync<StateRequest>();
            var ids = request.Ids ?? (request.Messages is { } messages ? model.Encode(ChatMessages.Check(messages), request.Tools, null) : []);
            if (ids.Length == 0) throw Refusals.Invalid("ids", "there are neither token ids nor messages", "send {\"messages\": […]} or {\"ids\": [1, 2, 3]}");
            var saved = await model.Moves.SaveAsync(ids, model.AdapterOf(request.Model), request.Tenant ?? "");
            context.Response.ContentType = SavedSequence.ContentType;
            await context.Response.BodyWriter.WriteAsync(saved.ToBytes(), context.RequestAborted);
        });
        app.MapPut("/internal/state", async (HttpContext context, string? tenant) =>
        {
            RequireOwner(context, secret);
            context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = SavedSequence.MaxBytes;
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body, context.RequestAborted);
            var saved = SavedSequence.Parse(body.GetBuffer().AsSpan(0, (int)body.Length), model.Vocabulary.Count);
            await model.Moves.RestoreAsync(saved, tenant ?? "");
            return Results.Json(new { Tokens = saved.About.Tokens.Length }, Json.Options);
        });
        app.MapPost("/internal/threads", async context =>
        {
            var request = await context.ReadBodyAsync<ThreadsRequest>();
            if (request.Threads < 1 || request.Threads > Environment.ProcessorCount) throw Refusals.Invalid("threads", $"threads are 1 to {Environment.ProcessorCount} here", "send {\"threads\": 1}");
            await context.Response.WriteAsJsonAsync(new { Threads = await model.SetThreadsAsync(request.Threads) }, Json.Options, context.RequestAborted);
        });
    }

    /// <summary>Who names files of this machine, or brings keys and values, is on it, and knows the secret: without one, any page in a browser here could ask.</summary>
    private static void RequireOwner(HttpContext context, string? secret)
    {
        if (secret is null || context.Connection.RemoteIpAddress is not { } address || !IPAddress.IsLoopback(address))
            throw new RefusedException("not-the-owner", "adapters and states are changed from this machine only, and with a secret", "start the server with --api-key, and ask through 127.0.0.1");
    }
}
