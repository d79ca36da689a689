using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.Evaluation;

/// <summary>One set of weights under evaluation: an engine, and the name of an adapter in it (null: the base).</summary>
public sealed record EvaluatedEngine(ServingProcess Engine, string? Adapter)
{
    private const int Unsupervised = -100;

    /// <summary>The greedy answer to a prompt.</summary>
    public async Task<string> AnswerAsync(JsonArray prompt, int maxTokens, CancellationToken cancellationToken)
    {
        var request = new JsonObject { ["messages"] = prompt.DeepClone(), ["temperature"] = 0, ["max_tokens"] = maxTokens };
        if (Adapter is not null) request["model"] = Adapter;
        var answer = await PostAsync("/v1/chat/completions", request, cancellationToken);
        return answer["choices"]![0]!["message"]!["content"]?.GetValue<string>() ?? "";
    }

    /// <summary>Mean log-probability (natural, per token) of the replies in a conversation, given what stands before each token.</summary>
    public async Task<double> MeanLogLikelihoodAsync(JsonArray messages, CancellationToken cancellationToken)
    {
        var encoded = await PostAsync("/internal/encode", new JsonObject { ["messages"] = messages.DeepClone() }, cancellationToken);
        var labels = encoded["labels"]!.AsArray().Select(l => l!.GetValue<int>()).ToArray();
        var scored = await PostAsync("/internal/logprobs", new JsonObject { ["ids"] = encoded["ids"]!.DeepClone(), ["adapter"] = Adapter }, cancellationToken);
        // The value at i−1 is the log-probability of token i.
        var values = scored["next_token_logprob"]!.AsArray().Select(v => v!.GetValue<double>()).Where((_, i) => labels[i + 1] != Unsupervised).ToArray();
        return values.Length > 0 ? values.Average() : throw new RefusedException("nothing-to-score", "the conversation has no reply to score", "remove it from the dataset");
    }

    private async Task<JsonNode> PostAsync(string path, JsonObject body, CancellationToken cancellationToken)
    {
        using var response = await Engine.Client.PostAsJsonAsync(path, body, cancellationToken);
        var answer = await response.Content.ReadFromJsonAsync<JsonNode>(cancellationToken) ?? throw new JsonException($"{path} answered null");
        if (response.IsSuccessStatusCode) return answer;
        throw new RefusedException(answer["error"]?["code"]?.GetValue<string>() ?? "engine-refused", answer["error"]?["message"]?.GetValue<string>() ?? $"{path} answered {(int)response.StatusCode}", "shorten the conversation or give the deployment more context");
    }
}
