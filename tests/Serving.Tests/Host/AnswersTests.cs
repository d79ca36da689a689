using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Serving.Llama;

namespace TokenMill.Serving.Tests.Host;

/// <summary>Several answers at once, and log-probabilities, over HTTP.</summary>
public sealed class AnswersTests(ITestOutputHelper output) : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(Models.Family("llama-tied"), new LlamaExecutorOptions { ContextTokens = 4096 });

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Several_ShareThePromptAndAreTheOnesThatSeedsGiveAlone()
    {
        var question = string.Join(' ', Enumerable.Range(0, 60).Select(i => $"word{i}"));
        string Body(string more) => $$"""{"messages":[{"role":"user","content":"{{question}}"}],"max_tokens":12,"ignore_eos":true{{more}}}""";
        var several = await _server.PostJsonAsync("/v1/chat/completions", Body(""","n":3,"seed":7"""));
        var choices = several["choices"]!.AsArray();
        Assert.Equal([0, 1, 2], choices.Select(c => c!["index"]!.GetValue<int>()));
        for (var i = 0; i < 3; i++)
        {
            var alone = await _server.PostJsonAsync("/v1/chat/completions", Body($$""","seed":{{7 + i}}"""));
            Assert.Equal(Content(alone["choices"]![0]!), Content(choices[i]!));
        }
        Assert.Equal(3, choices.Select(c => Content(c!)).Distinct().Count());
        var prompt = several["usage"]!["prompt_tokens"]!.GetValue<int>();
        Assert.Equal(36, several["usage"]!["completion_tokens"]!.GetValue<int>());
        Assert.InRange(await _server.MetricAsync("prompt_tokens_total"), prompt, prompt + 12);   // computed once, but for last tokens

        var events = await _server.StreamAsync("/v1/chat/completions", Body(""","n":3,"seed":7,"stream":true"""));
        var chunks = events[..^1].ConvertAll(e => JsonNode.Parse(e)!["choices"]![0]!);
        for (var i = 0; i < 3; i++)
        {
            var own = chunks.Where(c => c["index"]!.GetValue<int>() == i).ToList();
            Assert.Equal(Content(choices[i]!), string.Concat(own.Select(c => c["delta"]!["content"]?.ToString())));
            Assert.Single(own, c => c["finish_reason"]?.ToString() == "length");
        }
    }

    [Fact]
    public async Task Logprobs_AreTheModelsOwnAndFollowTheText()
    {
        const string body = """{"messages":[{"role":"user","content":"Hi"}],"temperature":0,"max_tokens":25,"ignore_eos":true,"logprobs":true,"top_logprobs":4,"logit_bias":{"40":3},"presence_penalty":1""";
        var choice = (await _server.PostJsonAsync("/v1/chat/completions", body + "}"))["choices"]![0]!;
        var tokens = choice["logprobs"]!["content"]!.AsArray();
        byte[] bytes = [.. tokens.SelectMany(t => t!["bytes"]!.AsArray()).Select(b => (byte)b!.GetValue<int>())];
        Assert.Equal(Content(choice), Encoding.UTF8.GetString(bytes));
        Assert.All(tokens, t => Assert.Equal(4, t!["top_logprobs"]!.AsArray().Count));

        var prompt = (await _server.PostJsonAsync("/tokenize", """{"messages":[{"role":"user","content":"Hi"}]}"""))["tokens"]!.AsArray().Select(t => t!.GetValue<int>()).ToArray();
        var worst = 0.0;
        foreach (var token in tokens)
        {
            var top = token!["top_logprobs"]!.AsArray().Select(t => t!["logprob"]!.GetValue<double>()).ToArray();
            Assert.Equal(top.OrderDescending(), top);
            Assert.True(top[0] >= token["logprob"]!.GetValue<double>() - 1e-9 && top.Sum(Math.Exp) <= 1 + 1e-6);
        }
        // The first token's alternatives, scored as given tokens after the same prompt.
        foreach (var alternative in tokens[0]!["top_logprobs"]!.AsArray())
        {
            var text = alternative!["token"]!.ToString();
            var ids = (await _server.PostJsonAsync("/tokenize", new JsonObject { ["text"] = text }.ToJsonString()))["tokens"]!.AsArray();
            if (ids.Count != 1 || text.Contains('\uFFFD', StringComparison.Ordinal)) continue;
            var scores = await _server.PostJsonAsync("/internal/logprobs", $$"""{"ids":[{{string.Join(',', prompt)}},{{ids[0]}}]}""");
            worst = Math.Max(worst, Math.Abs(scores["next_token_logprob"]![prompt.Length - 1]!.GetValue<double>() - alternative["logprob"]!.GetValue<double>()));
        }
        output.WriteLine($"worst difference to /internal/logprobs: {worst:g3}");
        Assert.InRange(worst, 0, 1e-3);

        var events = await _server.StreamAsync("/v1/chat/completions", body + ""","stream":true}""");
        var streamed = events[..^1].SelectMany(e => JsonNode.Parse(e)!["choices"]![0]!["logprobs"]?["content"]!.AsArray().Select(t => t!.ToJsonString()) ?? []);
        Assert.Equal(tokens.Select(t => t!["token"]!.ToJsonString()), streamed.Select(t => JsonNode.Parse(t)!["token"]!.ToJsonString()));
    }

    [Fact]
    public async Task Logprobs_OfAStopString_AreLeftOutWithIt()
    {
        const string body = """{"prompt":"Hello","temperature":0,"max_tokens":40,"ignore_eos":true,"logprobs":2""";
        var whole = (await _server.PostJsonAsync("/v1/completions", body + "}"))["choices"]![0]!;
        var text = whole["text"]!.ToString();
        Assert.Equal(text, string.Concat(whole["logprobs"]!["tokens"]!.AsArray().Select(t => t!.ToString())));
        Assert.All(whole["logprobs"]!["text_offset"]!.AsArray().Zip(whole["logprobs"]!["tokens"]!.AsArray()), t => Assert.StartsWith(t.Second!.ToString(), text[t.First!.GetValue<int>()..], StringComparison.Ordinal));
        var stop = text.Substring(text.Length / 2, 4);
        var cut = (await _server.PostJsonAsync("/v1/completions", new JsonObject { ["stop"] = stop }.ToJsonString()[..^1] + "," + body[1..] + "}"))["choices"]![0]!;
        Assert.Equal(text[..text.IndexOf(stop, StringComparison.Ordinal)], cut["text"]!.ToString());
        Assert.StartsWith(cut["text"]!.ToString(), string.Concat(cut["logprobs"]!["tokens"]!.AsArray().Select(t => t!.ToString())), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Prompts_SeveralAtOnce_AreEachAnswered()
    {
        var both = await _server.PostJsonAsync("/v1/completions", """{"prompt":["Hello","The sea"],"max_tokens":6,"temperature":0,"ignore_eos":true,"n":2,"echo":true}""");
        var texts = both["choices"]!.AsArray().Select(c => c!["text"]!.ToString()).ToArray();
        Assert.Equal(4, texts.Length);
        Assert.Equal((texts[0], texts[2]), (texts[1], texts[3]));
        Assert.StartsWith("Hello", texts[0], StringComparison.Ordinal);
        var sea = await _server.PostJsonAsync("/v1/completions", """{"prompt":"The sea","max_tokens":6,"temperature":0,"ignore_eos":true,"echo":true}""");
        Assert.Equal(sea["choices"]![0]!["text"]!.ToString(), texts[2]);
        Assert.Equal(24, both["usage"]!["completion_tokens"]!.GetValue<int>());
    }

    private static string Content(JsonNode choice) => choice["message"]!["content"]!.ToString();
}
