using System.Diagnostics;
using System.Text.Json.Nodes;
using TokenMill.Web.Gateway;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Commands.Demo;

/// <summary>One question to the deployed model, answered token by token. TTFT: sent → first text; TPOT: the rest of the time over the rest of the tokens.</summary>
internal static class ChatStage
{
    private const int MaxTokens = 96;

    public static async Task<DemoChat> AskAsync(ServingProcess engine, string adapter, string prompt, Action<string> text, CancellationToken cancellationToken)
    {
        var body = new JsonObject
        {
            ["model"] = adapter,
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = prompt }),
            ["temperature"] = 0,
            ["max_tokens"] = MaxTokens,
            ["reasoning_format"] = "none",
            ["stream"] = true,
            ["stream_options"] = new JsonObject { ["include_usage"] = true },
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = JsonContent.Create(body) };
        var clock = Stopwatch.StartNew();
        using var response = await engine.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        response.EnsureSuccessStatusCode();
        var stream = new EngineStream(await response.Content.ReadAsStreamAsync(cancellationToken));
        TimeSpan? first = null;
        var answer = "";
        await foreach (var chunk in stream.ChunksAsync(cancellationToken))
        {
            if ((chunk["choices"] as JsonArray)?.FirstOrDefault()?["delta"]?["content"]?.GetValue<string>() is not { Length: > 0 } piece) continue;
            first ??= clock.Elapsed;
            answer += piece;
            text(piece);
        }
        var tokens = stream.Tokens.Completion;
        var ttft = first ?? clock.Elapsed;
        return new DemoChat(prompt, answer, tokens, ttft.TotalMilliseconds, (clock.Elapsed - ttft).TotalMilliseconds / Math.Max(1, tokens - 1));
    }
}
