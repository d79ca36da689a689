using System.ClientModel;
using System.Net;
using System.Text.Json.Nodes;
using OpenAI;
using OpenAI.Chat;
using TokenMill.Serving.Host;
using TokenMill.Serving.Llama;

namespace TokenMill.Serving.Tests.Host;

public sealed class OpenAiApiTests : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() =>
        _server = await TestServer.StartAsync(Models.Family("llama-tied"), new LlamaExecutorOptions { ContextTokens = 4096 }, adapters: new NamedAdapter("tuned", Models.Family("llama-tied", "lora/adapter_final.gguf")));

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Chat_StreamedAndWhole_SayTheSame()
    {
        const string body = """{"messages":[{"role":"user","content":"Hi"}],"temperature":0,"max_tokens":30,"ignore_eos":true""";
        var whole = await _server.PostJsonAsync("/v1/chat/completions", body + "}");
        var events = await _server.StreamAsync("/v1/chat/completions", body + """, "stream":true,"stream_options":{"include_usage":true}}""");

        Assert.Equal("[DONE]", events[^1]);
        var chunks = events[..^1].ConvertAll(e => JsonNode.Parse(e)!);
        Assert.Single(chunks.Select(c => (c["id"]!.ToString(), c["created"]!.ToString(), c["object"]!.ToString())).Distinct());
        Assert.Equal("assistant", chunks[0]["choices"]![0]!["delta"]!["role"]!.ToString());
        Assert.All(chunks[..^2], c => Assert.Null(c["choices"]![0]!["finish_reason"]));
        Assert.Equal("length", chunks[^2]["choices"]![0]!["finish_reason"]!.ToString());
        Assert.Empty(chunks[^1]["choices"]!.AsArray());
        Assert.Equal(whole["choices"]![0]!["message"]!["content"]!.ToString(), string.Concat(chunks[..^1].Select(c => c["choices"]![0]!["delta"]!["content"]?.ToString())));

        var usage = chunks[^1]["usage"]!;
        Assert.Equal(30, usage["completion_tokens"]!.GetValue<int>());
        Assert.Equal(usage["prompt_tokens"]!.GetValue<int>() + 30, usage["total_tokens"]!.GetValue<int>());
        // The second request found all but the last token of its prompt.
        Assert.Equal(usage["prompt_tokens"]!.GetValue<int>() - 1, usage["prompt_tokens_details"]!["cached_tokens"]!.GetValue<int>());
        foreach (var key in new[] { "queue_ms", "prompt_ms", "ttft_ms", "tpot_ms" }) Assert.True(chunks[^2]["timings"]![key]!.GetValue<double>() >= 0);
        Assert.Equal(30, whole["timings"]!["completion_tokens"]!.GetValue<int>());
    }

    [Fact]
    public async Task ServiceTier_FlexIsBatchWork_AndSaidInTheAnswer()
    {
        const string chat = """{"messages":[{"role":"user","content":"Hi"}],"max_tokens":2,"service_tier":"TIER"}""";
        foreach (var (asked, used) in new[] { ("flex", "flex"), ("auto", "default"), ("priority", "default") })
        {
            Assert.Equal(used, (await _server.PostJsonAsync("/v1/chat/completions", chat.Replace("TIER", asked, StringComparison.Ordinal)))["service_tier"]!.ToString());
            Assert.Equal(used, (await _server.PostJsonAsync("/v1/responses", $$"""{"input":"Hi","max_output_tokens":2,"service_tier":"{{asked}}"}"""))["service_tier"]!.ToString());
            var events = await _server.StreamAsync("/v1/completions", $$"""{"prompt":"Hi","max_tokens":2,"stream":true,"service_tier":"{{asked}}"}""");
            Assert.All(events[..^1], e => Assert.Equal(used, JsonNode.Parse(e)!["service_tier"]!.ToString()));
        }
        Assert.Null((await _server.PostJsonAsync("/v1/completions", """{"prompt":"Hi","max_tokens":2}"""))["service_tier"]);
        Assert.Matches("""num_requests_waiting_by_priority\{[^}]*priority="batch"\} 0""", await _server.Client.GetStringAsync("/metrics"));
    }

    [Fact]
    public async Task TooLong_IsRefusedAtOnceWithTheNumbers()
    {
        using var refused = await _server.PostAsync("/v1/completions", $$"""{"prompt":[{{string.Join(',', Enumerable.Repeat(5, 5_000))}}],"max_tokens":2}""");
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        var limit = (await _server.PostJsonAsync("/tokenize", """{"text":"a"}"""))["max_model_len"]!.GetValue<int>();
        Assert.Contains($"5000 tokens, the context has room for {limit}", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Chat_EightStreamsAtOnce_EachSaysWhatItSaysAlone()
    {
        string Body(int i) => $$"""{"messages":[{"role":"user","content":"Question {{i}}"}],"temperature":0,"max_tokens":60,"ignore_eos":true,"stream":true,"tenant":"{{Guid.NewGuid()}}"}""";
        List<string> alone = [];
        for (var i = 0; i < 8; i++) alone.Add(Text(await _server.StreamAsync("/v1/chat/completions", Body(i))));
        var (steps, tokens) = (await _server.MetricAsync("engine_steps_total"), await _server.MetricAsync("generation_tokens_total"));
        var together = await Task.WhenAll(Enumerable.Range(0, 8).Select(async i => Text(await _server.StreamAsync("/v1/chat/completions", Body(i)))));
        Assert.Equal(alone, together);
        Assert.Equal(tokens + 8 * 60, await _server.MetricAsync("generation_tokens_total"));
        Assert.True(await _server.MetricAsync("engine_steps_total") - steps < 8 * 60 * 0.8, "the streams shared no steps");
    }

    [Fact]
    public async Task Chat_Adapter_IsChosenByName()
    {
        string Body(string model) => $$"""{"model":"{{model}}","messages":[{"role":"user","content":"Hi"}],"temperature":0,"max_tokens":30,"ignore_eos":true}""";
        var names = (await JsonAsync("/v1/models"))["data"]!.AsArray().Select(m => m!["id"]!.ToString()).ToArray();
        Assert.Equal(["model", "tuned"], names);
        var (plain, tuned) = (await _server.PostJsonAsync("/v1/chat/completions", Body("model")), await _server.PostJsonAsync("/v1/chat/completions", Body("tuned")));
        Assert.NotEqual(plain["choices"]![0]!["message"]!["content"]!.ToString(), tuned["choices"]![0]!["message"]!["content"]!.ToString());
        Assert.Equal("tuned", tuned["model"]!.ToString());
        Assert.Equal(0, tuned["usage"]!["prompt_tokens_details"]!["cached_tokens"]!.GetValue<int>());
    }

    [Fact]
    public async Task Chat_StopString_EndsTheAnswerBeforeIt()
    {
        const string body = """{"messages":[{"role":"user","content":"Hi"}],"temperature":0,"max_tokens":40,"ignore_eos":true""";
        var text = (await _server.PostJsonAsync("/v1/chat/completions", body + "}"))["choices"]![0]!["message"]!["content"]!.ToString();
        var stop = text.Substring(text.Length / 2, 3);
        var answer = await _server.PostJsonAsync("/v1/chat/completions", body + $$""","stop":[{{System.Text.Json.JsonSerializer.Serialize(stop)}}]}""");
        Assert.Equal(text[..text.IndexOf(stop, StringComparison.Ordinal)], answer["choices"]![0]!["message"]!["content"]!.ToString());
        Assert.Equal("stop", answer["choices"]![0]!["finish_reason"]!.ToString());
    }

    [Fact]
    public async Task Completion_TextIdsAndEcho()
    {
        var ids = (await _server.PostJsonAsync("/tokenize", """{"text":"Hello world"}"""))["tokens"]!.ToJsonString();
        var text = await _server.PostJsonAsync("/v1/completions", """{"prompt":"Hello world","max_tokens":8,"temperature":0,"echo":true}""");
        var byIds = await _server.PostJsonAsync("/v1/completions", $$"""{"prompt":{{ids}},"max_tokens":8,"temperature":0,"echo":true}""");
        Assert.StartsWith("Hello world", text["choices"]![0]!["text"]!.ToString(), StringComparison.Ordinal);
        Assert.Equal(text["choices"]![0]!["text"]!.ToString(), byIds["choices"]![0]!["text"]!.ToString());
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"user","con""", 400, "messages", "invalid_json")]
    [InlineData("""null""", 400, null, "invalid_json")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"messages":[]}""", 400, "messages", "invalid_json")]
    [InlineData("""{"messages":[{"role":"user","content":"\ud800"}]}""", 400, "messages", "invalid_text")]
    [InlineData("""{}""", 400, null, "invalid_json")]
    [InlineData("""{"messages":[]}""", 400, "messages", "invalid_value")]
    [InlineData("""{"messages":["a"]}""", 400, "messages[0]", "invalid_value")]
    [InlineData("""{"messages":[{"role":"robot","content":"a"}]}""", 400, "messages[0].role", "invalid_value")]
    [InlineData("""{"messages":[{"role":"user","content":7}]}""", 400, "messages[0].content", "invalid_value")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}""", 400, "messages[0].content[0]", "invalid_value")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"temperature":"hot"}""", 400, "temperature", "wrong_type")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"temperature":3}""", 400, "temperature", "invalid_value")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"max_tokens":0}""", 400, "max_tokens", "invalid_value")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"service_tier":"cheap"}""", 400, "service_tier", "invalid_value")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"max_tokens":1000000}""", 400, null, "context_length_exceeded")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"n":0}""", 400, "n", "invalid_value")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"n":129}""", 400, "n", "invalid_value")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"top_logprobs":2}""", 400, "top_logprobs", "invalid_value")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"logprobs":true,"top_logprobs":21}""", 400, "top_logprobs", "invalid_value")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"yaml"}}""", 400, "response_format.type", "invalid_value")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"properties":{"a":{"not":{"type":"null"}}}}}}}""", 400, "response_format.json_schema.schema.properties.a.not", "unsupported_schema")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"stop":[""]}""", 400, "stop", "invalid_value")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"logit_bias":{"9999":1}}""", 400, "logit_bias.9999", "invalid_value")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"model":"nope"}""", 404, "model", "model_not_found")]
    public async Task Chat_BadRequest_IsRefusedInOpenAisWords(string body, int status, string? param, string code)
    {
        using var response = await _server.PostAsync("/v1/chat/completions", body);
        Assert.Equal(status, (int)response.StatusCode);
        var error = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!.AsObject();
        Assert.Equal(["message", "type", "param", "code"], error.Select(p => p.Key));
        Assert.Equal((param, code), (error["param"]?.ToString(), error["code"]!.ToString()));
        Assert.NotEmpty(error["message"]!.ToString());
        Assert.DoesNotContain("System.", error["message"]!.ToString(), StringComparison.Ordinal);
        Assert.NotEmpty(response.Headers.GetValues("x-request-id"));
    }

    [Fact]
    public async Task UnknownUrl_IsRefusedInOpenAisWords()
    {
        using var response = await _server.Client.GetAsync("/v1/nothing");
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal(4, JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!.AsObject().Count);
    }

    [Fact]
    public async Task OfficialClient_ChatsAndStreams()
    {
        var client = new ChatClient("model", new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri(_server.Address, "/v1") });
        var options = new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = 20 };
        ChatCompletion whole = await client.CompleteChatAsync([new UserChatMessage("Hi")], options);
        var (text, reason, tokens) = ("", default(ChatFinishReason?), 0);
        await foreach (var update in client.CompleteChatStreamingAsync([new UserChatMessage("Hi")], options))
        {
            text += string.Concat(update.ContentUpdate.Select(c => c.Text));
            reason = update.FinishReason ?? reason;
            tokens = update.Usage?.OutputTokenCount ?? tokens;
        }
        Assert.Equal(string.Concat(whole.Content.Select(c => c.Text)), text);
        Assert.Equal((whole.FinishReason, whole.Usage.OutputTokenCount), (reason!.Value, tokens));
        var refused = await Assert.ThrowsAsync<ClientResultException>(() => new ChatClient("nope", new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri(_server.Address, "/v1") }).CompleteChatAsync("Hi"));
        Assert.Equal(404, refused.Status);
    }

    [Fact]
    public async Task Internal_LogprobsAndEncode_ServeTheParityCheck()
    {
        var encoded = await _server.PostJsonAsync("/internal/encode", """{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]}""");
        var (ids, labels) = (encoded["ids"]!.AsArray(), encoded["labels"]!.AsArray());
        Assert.Equal(ids.Count, labels.Count);
        Assert.Contains(labels, l => l!.GetValue<int>() != -100);
        var scores = await _server.PostJsonAsync("/internal/logprobs", $$"""{"ids":{{ids.ToJsonString()}},"adapter":"tuned"}""");
        Assert.Equal(ids.Count - 1, scores["next_token_logprob"]!.AsArray().Count);
        using var empty = await _server.PostAsync("/internal/logprobs", """{"ids":[]}""");
        Assert.Equal(HttpStatusCode.BadRequest, empty.StatusCode);
        using var foreign = await _server.PostAsync("/internal/logprobs", """{"ids":[1,99999]}""");
        Assert.Equal(HttpStatusCode.BadRequest, foreign.StatusCode);
    }

    private async Task<JsonNode> JsonAsync(string path) => JsonNode.Parse(await _server.Client.GetStringAsync(path))!;

    private static string Text(List<string> events) => string.Concat(events[..^1].Select(e => JsonNode.Parse(e)!["choices"]![0]!["delta"]!["content"]?.ToString()));
}
