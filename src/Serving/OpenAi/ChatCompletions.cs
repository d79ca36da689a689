using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Serving.Grammars;
using TokenMill.Serving.Host;
using TokenMill.Serving.Sampling;
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
        if (request.TopLogprobs is not null && request.Logprobs != true) throw Refusals.Invalid("top_logprobs", "top_logprobs without logprobs", "send \"logprobs\": true too");
        var maxTokens = request.MaxCompletionTokens ?? request.MaxTokens;
        var settings = CompletionSettings.Of(request, maxTokens, request.MaxCompletionTokens is null ? "max_tokens" : "max_completion_tokens", model.Vocabulary.Count)
            .WithLogprobs(request.Logprobs == true ? request.TopLogprobs ?? 0 : null, "top_logprobs");
        var rules = new GrammarRules();
        if (ResponseFormat.AddTo(rules, request.ResponseFormat, "response_format") is { } root)
            settings = settings with { Generation = settings.Generation with { Grammar = model.Grammars.Constraint(rules.Write(root), new HashSet<int>()) } };
        model.AdapterOf(request.Model);
        var tools = request.ToolChoice?.ToString() == "none" ? null : request.Tools;
        var prompt = model.Encode(ChatMessages.Check(request.Messages), tools, request.ChatTemplateKwargs);

        using var answers = new Answers(model, [prompt], request, settings, context.RequestAborted);
        var writer = new Writer(context, model, answers, request);
        if (request.Stream) await writer.StreamAsync(request.StreamOptions ?? new StreamOptions());
        else await writer.WriteAsync();
    }

    private static void CheckSupport(ChatCompletionRequest request)
    {
        if (request.ToolChoice is JsonObject || request.ToolChoice?.ToString() == "required") throw Refusals.Unsupported("tool_choice", "leave the choice to the model (\"auto\")");
    }

    private sealed class Writer(HttpContext context, ServedModel model, Answers answers, ChatCompletionRequest request)
    {
        private readonly string _id = $"chatcmpl-{Guid.NewGuid():N}";

        public async Task WriteAsync()
        {
            var texts = Enumerable.Range(0, answers.Count).Select(_ => (Text: new StringBuilder(), Logprobs: new List<TokenLogprob>())).ToArray();
            await foreach (var (index, part) in answers.PartsAsync(context.RequestAborted))
            {
                if (part is not { } some) continue;
                texts[index].Text.Append(some.Text);
                texts[index].Logprobs.AddRange(some.Logprobs);
            }
            var completion = new ChatCompletion
            {
                Id = _id,
                Created = answers.Created,
                Model = answers.Model,
                Choices = [.. texts.Select((t, i) => new ChatCompletion.Choice(i, new ChatMessage("assistant", t.Text.ToString()), Logprobs(t.Logprobs), answers.FinishReason(i)))],
                Usage = answers.Usage,
                Timings = answers.Timings,
            };
            await context.Response.WriteAsJsonAsync(completion, Json.Options, context.RequestAborted);
        }

        public async Task StreamAsync(StreamOptions options)
        {
            var events = new ServerSentEvents(context);
            events.Begin();
            try
            {
                for (var i = 0; i < answers.Count; i++) await events.SendAsync(Chunk(i, new ChatCompletionChunk.Delta("assistant", "")));
                await foreach (var (index, part) in answers.PartsAsync(context.RequestAborted))
                    await events.SendAsync(part is { } some
                        ? Chunk(index, new ChatCompletionChunk.Delta(Content: some.Text), Logprobs(some.Logprobs))
                        : Chunk(index, new ChatCompletionChunk.Delta(), finishReason: answers.FinishReason(index)));
                if (options.IncludeUsage) await events.SendAsync(Chunk(0, null) with { Usage = answers.Usage, Timings = answers.Timings });
            }
            catch (RefusedException e)
            {
                await events.SendErrorAsync(e);
            }
            await events.FinishAsync();

            ChatCompletionChunk Chunk(int index, ChatCompletionChunk.Delta? delta, ChatLogprobs? logprobs = null, string? finishReason = null) => new()
            {
                Id = _id,
                Created = answers.Created,
                Model = answers.Model,
                Choices = delta is null ? [] : [new ChatCompletionChunk.Choice(index, delta, logprobs, finishReason)],
                Usage = options.ContinuousUsageStats ? answers.Usage : null,
                Timings = finishReason is null ? null : answers.Timings,
            };
        }

        private ChatLogprobs? Logprobs(IReadOnlyList<TokenLogprob> tokens) => request.Logprobs == true ? LogprobBodies.Chat(tokens, model.Vocabulary) : null;
    }
}
