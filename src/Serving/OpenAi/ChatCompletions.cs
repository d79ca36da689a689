using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Serving.Host;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.OpenAi;

/// <summary>POST /v1/chat/completions.</summary>
internal static class ChatCompletions
{
    public static async Task HandleAsync(HttpContext context, ServedModel model)
    {
        var request = await context.ReadBodyAsync<ChatCompletionRequest>();
        CheckSupport(request);
        var maxTokens = request.MaxCompletionTokens ?? request.MaxTokens;
        var settings = CompletionSettings.Of(request, maxTokens, request.MaxCompletionTokens is null ? "max_tokens" : "max_completion_tokens", model.Vocabulary.Count);
        model.AdapterOf(request.Model);
        var tools = request.ToolChoice?.ToString() == "none" ? null : request.Tools;
        var prompt = model.Encode(ChatMessages.Check(request.Messages), tools, request.ChatTemplateKwargs);

        using var answer = new Answer(model, prompt, request, settings, context.RequestAborted);
        var id = $"chatcmpl-{Guid.NewGuid():N}";
        if (request.Stream) await StreamAsync(context, answer, id, request.StreamOptions ?? new StreamOptions());
        else await WriteAsync(context, answer, id);
    }

    private static async Task WriteAsync(HttpContext context, Answer answer, string id)
    {
        var text = new StringBuilder();
        await foreach (var part in answer.PartsAsync(context.RequestAborted)) text.Append(part);
        var completion = new ChatCompletion
        {
            Id = id,
            Created = answer.Created,
            Model = answer.Model,
            Choices = [new ChatCompletion.Choice(0, new ChatMessage("assistant", text.ToString()), answer.FinishReason)],
            Usage = answer.Usage,
            Timings = answer.Timings,
        };
        await context.Response.WriteAsJsonAsync(completion, Json.Options, context.RequestAborted);
    }

    private static async Task StreamAsync(HttpContext context, Answer answer, string id, StreamOptions options)
    {
        var events = new ServerSentEvents(context);
        events.Begin();
        try
        {
            await events.SendAsync(Chunk(new ChatCompletionChunk.Delta("assistant", "")));
            await foreach (var part in answer.PartsAsync(context.RequestAborted)) await events.SendAsync(Chunk(new ChatCompletionChunk.Delta(Content: part)));
            await events.SendAsync(Chunk(new ChatCompletionChunk.Delta(), answer.FinishReason) with { Timings = answer.Timings });
            if (options.IncludeUsage) await events.SendAsync(Chunk(null) with { Usage = answer.Usage });
        }
        catch (RefusedException e)
        {
            await events.SendErrorAsync(e);
        }
        await events.FinishAsync();

        ChatCompletionChunk Chunk(ChatCompletionChunk.Delta? delta, string? finishReason = null) => new()
        {
            Id = id,
            Created = answer.Created,
            Model = answer.Model,
            Choices = delta is null ? [] : [new ChatCompletionChunk.Choice(0, delta, finishReason)],
            Usage = options.ContinuousUsageStats ? answer.Usage : null,
        };
    }

    private static void CheckSupport(ChatCompletionRequest request)
    {
        if (request.ResponseFormat?["type"] is { } type && type.ToString() != "text") throw Refusals.Unsupported("response_format", "ask for the format in the prompt");
        if (request.ToolChoice is JsonObject || request.ToolChoice?.ToString() == "required") throw Refusals.Unsupported("tool_choice", "leave the choice to the model (\"auto\")");
        if (request.Logprobs == true || request.TopLogprobs is > 0) throw Refusals.Unsupported(request.Logprobs == true ? "logprobs" : "top_logprobs", "leave it out");
    }
}
