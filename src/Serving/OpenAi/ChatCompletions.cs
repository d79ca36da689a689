using TokenMill.Serving.Host;
using TokenMill.Serving.Sampling;
using TokenMill.Serving.ToolCalls;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.OpenAi;

/// <summary>POST /v1/chat/completions.</summary>
internal static class ChatCompletions
{
    public static async Task HandleAsync(HttpContext context, ServedModel model, CancellationToken end)
    {
        var request = await context.ReadBodyAsync<ChatCompletionRequest>();
        if (request.ReasoningFormat is not (null or "none" or "auto")) throw Refusals.Invalid("reasoning_format", $"the format '{request.ReasoningFormat}' is unknown", "choose auto (reasoning apart, in reasoning_content) or none (in the content, as the model writes it)");
        if (request.TopLogprobs is not null && request.Logprobs != true) throw Refusals.Invalid("top_logprobs", "top_logprobs without logprobs", "send \"logprobs\": true too");
        var maxTokens = request.MaxCompletionTokens ?? request.MaxTokens;
        var settings = CompletionSettings.Of(request, maxTokens, request.MaxCompletionTokens is null ? "max_tokens" : "max_completion_tokens", model.Vocabulary.Count)
            .WithLogprobs(request.Logprobs == true ? request.TopLogprobs ?? 0 : null, "top_logprobs");
        model.AdapterOf(request.Model);
        var tools = ToolRequest.Read(request.Tools, request.ToolChoice, request.ParallelToolCalls);
        var turn = ChatTurn.Prepare(model, request.Messages, tools, request.ResponseFormat, "response_format", request.ChatTemplateKwargs, settings, request.ReasoningFormat != "none");

        using var answers = new Answers(model, [turn.Prompt], request, turn.Settings, end);
        var writer = new Writer(context, model, answers, turn, request);
        if (request.Stream) await writer.StreamAsync(request.StreamOptions ?? new StreamOptions());
        else await writer.WriteAsync();
    }

    private sealed class Writer(HttpContext context, ServedModel model, Answers answers, ChatTurn turn, ChatCompletionRequest request)
    {
        private readonly string _id = $"chatcmpl-{Guid.NewGuid():N}";
        private int _reasoningTokens;
        private readonly AnswerReader[] _readers = [.. Enumerable.Range(0, answers.Count).Select(_ => turn.NewReader())];

        public async Task WriteAsync()
        {
            var messages = _readers.Select(_ => new MessageBuilder()).ToArray();
            await foreach (var (index, part) in answers.PartsAsync(context.RequestAborted))
            {
                foreach (var delta in Deltas(index, part)) messages[index].Add(delta);
                messages[index].Logprobs.AddRange(part?.Logprobs ?? []);
            }
            var completion = new ChatCompletion
            {
                Id = _id,
                Created = answers.Created,
                Model = answers.Model,
                Choices = [.. messages.Select((m, i) => new ChatCompletion.Choice(i, m.Build(), Logprobs(m.Logprobs), FinishReason(i)))],
                Usage = Usage,
                Timings = answers.Timings,
                ServiceTier = answers.ServiceTier,
            };
            await context.Response.WriteAsJsonAsync(completion, Json.Options, context.RequestAborted);
        }

        public async Task StreamAsync(StreamOptions options)
        {
            var events = new ServerSentEvents(context);
            events.Begin();
            var logprobs = _readers.Select(_ => new List<TokenLogprob>()).ToArray();      // of text that is held back
            try
            {
                for (var i = 0; i < answers.Count; i++) await events.SendAsync(Chunk(i, new ChatCompletionChunk.Delta("assistant", "")));
                await foreach (var (index, part) in answers.PartsAsync(context.RequestAborted))
                {
                    logprobs[index].AddRange(part?.Logprobs ?? []);
                    foreach (var delta in Deltas(index, part)) await events.SendAsync(Chunk(index, delta, TakeLogprobs(index)));
                    if (part is null) await events.SendAsync(Chunk(index, new ChatCompletionChunk.Delta(), logprobs[index].Count > 0 ? TakeLogprobs(index) : null, FinishReason(index)));
                }
                if (options.IncludeUsage) await events.SendAsync(Chunk(0, null) with { Usage = Usage, Timings = answers.Timings });
            }
            catch (RefusedException e)
            {
                await events.SendErrorAsync(e);
            }
            await events.FinishAsync();

            ChatLogprobs? TakeLogprobs(int index)
            {
                var body = Logprobs(logprobs[index]);
                logprobs[index].Clear();
                return body;
            }

            ChatCompletionChunk Chunk(int index, ChatCompletionChunk.Delta? delta, ChatLogprobs? logprobs = null, string? finishReason = null) => new()
            {
                Id = _id,
                Created = answers.Created,
                Model = answers.Model,
                ServiceTier = answers.ServiceTier,
                Choices = delta is null ? [] : [new ChatCompletionChunk.Choice(index, delta, logprobs, finishReason)],
                Usage = options.ContinuousUsageStats ? Usage : null,
                Timings = finishReason is null ? null : answers.Timings,
            };
        }

        private Usage Usage => answers.Usage with { CompletionTokensDetails = new Usage.CompletionDetails(_reasoningTokens) };

        private IReadOnlyList<ChatCompletionChunk.Delta> Deltas(int index, AnswerPart? part)
        {
            var reader = _readers[index];
            if (part is not { } some) return reader.Finish();
            if (reader.IsThinking) _reasoningTokens += some.TokenCount;
            return reader.Read(some.Text);
        }

        private string FinishReason(int index) => _readers[index].HasCalls && answers.FinishReason(index) == "stop" ? "tool_calls" : answers.FinishReason(index);

        private ChatLogprobs? Logprobs(IReadOnlyList<TokenLogprob> tokens) => request.Logprobs == true ? LogprobBodies.Chat(tokens, model.Vocabulary) : null;
    }
}
