using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.Evaluation;

/// <summary>How likely a model finds a reply: the mean over its tokens.</summary>
public readonly record struct ReplyLikelihood(double Mean, int Tokens);

/// <summary>One set of weights under evaluation: an engine, and the name of an adapter in it (null: the base).</summary>
public sealed record EvaluatedEngine(ServingProcess Engine, string? Adapter)
{
    private const int Unsupervised = -100;
    private static readonly TimeSpan ExitGrace = TimeSpan.FromSeconds(5);

    /// <summary>The greedy answer to a prompt.</summary>
    public async Task<string> AnswerAsync(JsonArray prompt, int maxTokens, CancellationToken cancellationToken)
    {
        // References hold reasoning in their text, so answers do too.
        var request = new JsonObject { ["messages"] = prompt.DeepClone(), ["temperature"] = 0, ["max_tokens"] = maxTokens, ["reasoning_format"] = "none" };
        if (Adapter is not null) request["model"] = Adapter;
        var answer = await PostAsync("/v1/chat/completions", request, cancellationToken);
        return answer["choices"]![0]!["message"]!["content"]?.GetValue<string>() ?? "";
    }

    /// <summary>Mean log-probability (natural, per token) of the last reply in a conversation, given what stands before each token.</summary>
    public async Task<ReplyLikelihood> ReplyLikelihoodAsync(JsonArray messages, CancellationToken cancellationToken)
    {
        var encoded = await PostAsync("/internal/encode", new JsonObject { ["messages"] = messages.DeepClone() }, cancellationToken);
        var labels = encoded["labels"]!.AsArray().Select(l => l!.GetValue<int>()).ToArray();
        var scored = await PostAsync("/internal/logprobs", new JsonObject { ["ids"] = encoded["ids"]!.DeepClone(), ["adapter"] = Adapter }, cancellationToken);
        // The value at i−1 is the log-probability of token i.
        var values = scored["next_token_logprob"]!.AsArray().Select(v => v!.GetValue<double>()).Where((_, i) => labels[i + 1] != Unsupervised).ToArray();
        return values.Length > 0 ? new(values.Average(), values.Length) : throw new RowNotAskableException(new Error("nothing-to-score", "the conversation has no reply to score", "remove it from the dataset"));
    }

    /// <exception cref="RowNotAskableException">The engine does not take this conversation: too long, or against the chat template.</exception>
    /// <exception cref="RefusedException">The engine ended, or cannot work at all.</exception>
    private async Task<JsonNode> PostAsync(string path, JsonObject body, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await Engine.Client.PostAsJsonAsync(path, body, cancellationToken);
            var answer = await response.Content.ReadFromJsonAsync<JsonNode>(cancellationToken) ?? throw new JsonException($"{path} answered null");
            if (response.IsSuccessStatusCode) return answer;
            // On the wire codes are written as OpenAI writes them, with underscores.
            var refusal = new Error(Text(answer, "code")?.Replace('_', '-') ?? "engine-refused", Text(answer, "message") ?? $"{path} answered {(int)response.StatusCode}", "see the log of the portal");
            throw response.StatusCode == HttpStatusCode.BadRequest || refusal.Code == "cache-exhausted" ? new RowNotAskableException(refusal) : new RefusedException(refusal);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new RefusedException(await WhyGoneAsync(e), e);
        }
    }

    /// <summary>A connection breaks a moment before the end of its process is noticed.</summary>
    private async Task<Error> WhyGoneAsync(Exception broken)
    {
        var ended = await Task.WhenAny(Engine.Exited, Task.Delay(ExitGrace));
        return ended == Engine.Exited ? await Engine.Exited : new Error("serving-unresponsive", $"the serving process does not answer: {broken.Message}", "it is started again; if this repeats, look at the load of the machine");
    }

    private static string? Text(JsonNode answer, string field) => answer["error"]?[field]?.GetValue<string>();
}
