using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Serving.Host;
using TokenMill.Serving.Sampling;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.OpenAi;

/// <summary>POST /v1/completions.</summary>
internal static class Completions
{
    private const int MaxPrompts = 128;

    public static async Task HandleAsync(HttpContext context, ServedModel model, CancellationToken end)
    {
        var request = await context.ReadBodyAsync<CompletionRequest>();
        if (request.BestOf is { } best && best != (request.N ?? 1)) throw Refusals.Unsupported("best_of", "ask for n answers and choose one");
        if (!string.IsNullOrEmpty(request.Suffix)) throw Refusals.Unsupported("suffix", "put all text into the prompt");
        if (request is { Echo: true, Logprobs: not null }) throw Refusals.Unsupported("logprobs", "leave out echo: a prompt's own log-probabilities are not given");
        var settings = CompletionSettings.Of(request, request.MaxTokens, "max_tokens", model.Vocabulary.Count).WithLogprobs(request.Logprobs, "logprobs");
        model.AdapterOf(request.Model);
        var prompts = Prompts(request.Prompt, model);
        if (prompts.Count > MaxPrompts) throw Refusals.Invalid("prompt", $"there are {prompts.Count} prompts", $"send at most {MaxPrompts} at once");

        using var answers = new Answers(model, prompts, request, settings, end);
        var echoes = request.Echo ? prompts.Select(p => model.Vocabulary.Decode(p)).ToArray() : null;
        var writer = new Writer(context, model, answers, request, echoes);
        if (request.Stream) await writer.StreamAsync(request.StreamOptions ?? new StreamOptions());
        else await writer.WriteAsync();
    }

    private static List<int[]> Prompts(JsonNode prompt, ServedModel model) => Ids(prompt, model) is { } only ? [only]
        : prompt is JsonArray { Count: > 0 } list ? [.. list.Select(p => Ids(p, model) ?? throw Neither())]
        : throw Neither();

    private static RefusedException Neither() => Refusals.Invalid("prompt", "prompt is neither a text nor a list of token ids, nor a list of those", "send \"prompt\": \"…\"");

    /// <summary>Of one prompt; null if it is none.</summary>
    private static int[]? Ids(JsonNode? prompt, ServedModel model) =>
        prompt is JsonValue value && value.TryGetValue<string>(out var text) ? model.Vocabulary.Tokenize(text, addSpecial: true)
        : prompt is JsonArray { Count: > 0 } ids && ids.All(id => id is JsonValue number && number.TryGetValue<int>(out _)) ? [.. ids.Select(id => id!.GetValue<int>())]
        : null;

    private sealed class Writer(HttpContext context, ServedModel model, Answers answers, CompletionRequest request, string[]? echoes)
    {
        private readonly string _id = $"cmpl-{Guid.NewGuid():N}";
        private readonly int[] _offsets = new int[answers.Count];

        public async Task WriteAsync()
        {
            var texts = Enumerable.Range(0, answers.Count).Select(i => (Text: new StringBuilder(Echo(i)), Logprobs: new List<TokenLogprob>())).ToArray();
            await foreach (var (index, part) in answers.PartsAsync(context.RequestAborted))
            {
                if (part is not { } some) continue;
                texts[index].Text.Append(some.Text);
                texts[index].Logprobs.AddRange(some.Logprobs);
            }
            var completion = Of([.. texts.Select((t, i) => new Completion.Choice(i, t.Text.ToString(), Logprobs(i, t.Logprobs), answers.FinishReason(i)))]);
            await context.Response.WriteAsJsonAsync(completion with { Usage = answers.Usage, Timings = answers.Timings }, Json.Options, context.RequestAborted);
        }

        public async Task StreamAsync(StreamOptions options)
        {
            var events = new ServerSentEvents(context);
            events.Begin();
            try
            {
                for (var i = 0; i < answers.Count; i++)
                    if (Echo(i) is { Length: > 0 } echo) await SendAsync(new Completion.Choice(i, echo, null, null));
                await foreach (var (index, part) in answers.PartsAsync(context.RequestAborted))
                    await SendAsync(part is { } some
                        ? new Completion.Choice(index, some.Text, Logprobs(index, some.Logprobs), null)
                        : new Completion.Choice(index, "", null, answers.FinishReason(index)));
                if (options.IncludeUsage) await events.SendAsync(Of([]) with { Usage = answers.Usage, Timings = answers.Timings });
            }
            catch (RefusedException e)
            {
                await events.SendErrorAsync(e);
            }
            await events.FinishAsync();

            Task SendAsync(Completion.Choice choice) => events.SendAsync(Of([choice]) with
            {
                Usage = options.ContinuousUsageStats ? answers.Usage : null,
                Timings = choice.FinishReason is null ? null : answers.Timings,
            });
        }

        private string Echo(int index) => echoes is null ? "" : echoes[index * echoes.Length / answers.Count];

        private CompletionLogprobs? Logprobs(int index, IReadOnlyList<TokenLogprob> tokens)
        {
            if (request.Logprobs is not { } top) return null;
            var body = LogprobBodies.Completion(tokens, model.Vocabulary, withTop: top > 0, _offsets[index]);
            _offsets[index] += body.Tokens.Sum(t => t.Length);
            return body;
        }

        private Completion Of(IReadOnlyList<Completion.Choice> choices) => new() { Id = _id, Created = answers.Created, Model = answers.Model, Choices = choices, ServiceTier = answers.ServiceTier };
    }
}
