using System.Text.Json.Nodes;
using TokenMill.Serving.Host;
using TokenMill.Shared;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.OpenAi;

/// <summary>The public API: what an OpenAI client knows, and /tokenize.</summary>
internal static class OpenAiApi
{
    private sealed record TokenizeRequest(string? Text, string? Content, JsonArray? Messages, bool AddSpecial = false);

    public static void MapOpenAi(this IEndpointRouteBuilder app, ServedModel model, EndableRequests endable)
    {
        app.MapPost("/v1/chat/completions", context => endable.RunAsync(context, end => ChatCompletions.HandleAsync(context, model, end)));
        app.MapPost("/v1/completions", context => endable.RunAsync(context, end => Completions.HandleAsync(context, model, end)));
        app.MapPost("/v1/responses", context => endable.RunAsync(context, end => Responses.HandleAsync(context, model, end)));
        app.MapPost("/v1/embeddings", context => Embeddings.HandleAsync(context, model.Name, model.AdapterOf, () => model.Embedder));
        app.MapPost("/tokenize", context => TokenizeAsync(context, model));

        var loaded = model.Time.GetUtcNow().ToUnixTimeSeconds();
        app.MapGet("/v1/models", () => Results.Json(new ModelList([.. Models()]), Json.Options));
        app.MapGet("/v1/models/{id}", (string id) => Results.Json(Models().FirstOrDefault(m => m.Id == id) ?? throw model.Adapters.NotFound(id), Json.Options));

        IEnumerable<ModelList.Entry> Models() =>
            model.Adapters.All.Select(a => new ModelList.Entry(a.Name, a.AddedAt.ToUnixTimeSeconds(), "tokenmill")).Prepend(new ModelList.Entry(model.Name, loaded, "tokenmill"));
    }

    private static async Task TokenizeAsync(HttpContext context, ServedModel model)
    {
        var request = await context.ReadBodyAsync<TokenizeRequest>();
        var ids = (request.Text ?? request.Content, request.Messages) switch
        {
            ({ } text, null) => model.Vocabulary.Tokenize(text, request.AddSpecial),
            (null, { } messages) => model.Encode(ChatMessages.Check(messages), null, null),
            _ => throw Refusals.Invalid("text", "there is neither a text nor a conversation, or both", "send {\"text\"} or {\"messages\"}"),
        };
        await context.Response.WriteAsJsonAsync(new { Tokens = ids, Count = ids.Length, MaxModelLen = model.Engine.MaxSequenceTokens }, Json.Options, context.RequestAborted);
    }
}
