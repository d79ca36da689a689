using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Serving.Host;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.OpenAi;

/// <summary>POST /v1/completions.</summary>
internal static class Completions
{
    public static async Task HandleAsync(HttpContext context, ServedModel model)
    {
        var request = await context.ReadBodyAsync<CompletionRequest>();
        if (request.Logprobs is > 0) throw Refusals.Unsupported("logprobs", "leave it out");
        var settings = CompletionSettings.Of(request, request.MaxTokens, "max_tokens", model.Vocabulary.Count);
        model.AdapterOf(request.Model);
        var prompt = Prompt(request.Prompt, model);

        using var answer = new Answer(model, prompt, request, settings, context.RequestAborted);
        var id = $"cmpl-{Guid.NewGuid():N}";
        var echo = request.Echo ? model.Vocabulary.Decode(prompt) : "";
        if (request.Stream) await StreamAsync(context, answer, id, echo, request.StreamOptions ?? new StreamOptions());
        else await WriteAsync(context, answer, id, echo);
    }

    private static int[] Prompt(JsonNode prompt, ServedModel model)
    {
        if (prompt is JsonValue value && value.TryGetValue<string>(out var text)) return model.Vocabulary.Tokenize(text, addSpecial: true);
        if (prompt is JsonArray { Count: 1 } single && single[0] is JsonValue only && only.TryGetValue(out text)) return model.Vocabulary.Tokenize(text, addSpecial: true);
        if (prompt is JsonArray { Count: > 0 } ids && ids.All(id => id is JsonValue number && number.TryGetValue<int>(out _))) return [.. ids.Select(id => id!.GetValue<int>())];
        throw Refusals.Invalid("prompt", "prompt is neither a text nor a list of token ids", "send \"prompt\": \"…\"");
    }

    private static async Task WriteAsync(HttpContext context, Answer answer, string id, string echo)
    {
        var text = new StringBuilder(echo);
        await foreach (var part in answer.PartsAsync(context.RequestAborted)) text.Append(part);
        await context.Response.WriteAsJsonAsync(Part(answer, id, text.ToString(), answer.FinishReason) with { Usage = answer.Usage, Timings = answer.Timings }, Json.Options, context.RequestAborted);
    }

    private static async Task StreamAsync(HttpContext context, Answer answer, string id, string echo, StreamOptions options)
    {
        var events = new ServerSentEvents(context);
        events.Begin();
        try
        {
            if (echo.Length > 0) await events.SendAsync(Counted(Part(answer, id, echo)));
            await foreach (var part in answer.PartsAsync(context.RequestAborted)) await events.SendAsync(Counted(Part(answer, id, part)));
            await events.SendAsync(Part(answer, id, "", answer.FinishReason) with { Timings = answer.Timings });
            if (options.IncludeUsage) await events.SendAsync(Part(answer, id, "") with { Choices = [], Usage = answer.Usage });
        }
        catch (RefusedException e)
        {
            await events.SendErrorAsync(e);
        }
        await events.FinishAsync();

        Completion Counted(Completion part) => options.ContinuousUsageStats ? part with { Usage = answer.Usage } : part;
    }

    private static Completion Part(Answer answer, string id, string text, string? finishReason = null) => new()
    {
        Id = id,
        Created = answer.Created,
        Model = answer.Model,
        Choices = [new Completion.Choice(0, text, finishReason)],
    };
}
