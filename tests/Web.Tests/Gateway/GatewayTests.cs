using System.ClientModel;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using OpenAI;
using OpenAI.Chat;
using TokenMill.Shared.Domain;
using TokenMill.Web.Features.ApiKeys;
using TokenMill.Web.Features.Deployments;
using TokenMill.Web.Tests.Deployments;
using TokenMill.Web.Tests.Hosting;

namespace TokenMill.Web.Tests.Gateway;

/// <summary>The public API as programs meet it.</summary>
[Collection(DeployedPortal.Collection)]
public sealed class GatewayTests(DeployedPortal deployed, ITestOutputHelper output)
{
    private static readonly CancellationToken None = CancellationToken.None;

    private Portal Portal => deployed.Portal;

    [Fact]
    public async Task OpenAiClient_StreamsAndAnswers_AndEachRequestIsCountedOnce()
    {
        var client = new ChatClient(deployed.Starter.Name, new ApiKeyCredential(deployed.Key), new OpenAIClientOptions { Endpoint = new Uri(Portal.Address, "/v1") });
        ChatMessage[] messages = [new UserChatMessage("How do I reset my password?")];
        var options = new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = 40 };
        var before = (await deployed.UsageAsync(deployed.Starter)).Count;

        var (text, parts, usage) = ("", 0, default(ChatTokenUsage));
        await foreach (var update in client.CompleteChatStreamingAsync(messages, options))
        {
            foreach (var part in update.ContentUpdate) (text, parts) = (text + part.Text, parts + 1);
            usage = update.Usage ?? usage;
        }
        var whole = (await client.CompleteChatAsync(messages, options)).Value;
        await DeployedPortal.UntilAsync(async () => (await deployed.UsageAsync(deployed.Starter)).All(u => u.State == UsageState.Settled), "both requests to be settled");

        Assert.True(parts > 3, $"{parts} parts");
        Assert.Equal(whole.Content[0].Text, text);
        Assert.Equal(deployed.Starter.Name, whole.Model);
        var records = (await deployed.UsageAsync(deployed.Starter)).Skip(before).ToList();
        Assert.Equal(2, records.Count);
        Assert.All(records, r => Assert.Equal((whole.Usage.InputTokenCount, whole.Usage.OutputTokenCount), (r.PromptTokens, r.CompletionTokens)));
        Assert.Equal(usage?.OutputTokenCount, records[0].CompletionTokens);
    }

    [Fact]
    public async Task ResponsesAndEmbeddings_ArePassedOnAndCounted()
    {
        using var client = Client(deployed.Key);
        var before = (await deployed.UsageAsync(deployed.Starter)).Count;
        using var whole = await client.PostAsJsonAsync("/v1/responses", new { model = deployed.Starter.Name, input = "Where is the kettle?", max_output_tokens = 6, temperature = 0, service_tier = "flex" });
        var response = (await whole.Content.ReadFromJsonAsync<JsonObject>())!;
        Assert.Equal((deployed.Starter.Name, "flex"), ((string?)response["model"], (string?)response["service_tier"]));
        using var streamed = await client.PostAsJsonAsync("/v1/responses", new { model = deployed.Starter.Name, input = "Where is the kettle?", max_output_tokens = 6, temperature = 0, stream = true });
        var events = (await streamed.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.All(events, e => Assert.StartsWith("event: response.", e, StringComparison.Ordinal));
        Assert.All(events, e => Assert.DoesNotContain("continuous", e, StringComparison.Ordinal));
        var last = JsonNode.Parse(events[^1].Split("\ndata: ")[1])!["response"]!;
        Assert.Equal(((string?)response["output"]![0]!["content"]![0]!["text"], deployed.Starter.Name), ((string?)last["output"]![0]!["content"]![0]!["text"], (string?)last["model"]));
        using var embedded = await client.PostAsJsonAsync("/v1/embeddings", new { model = deployed.Starter.Name, input = new[] { "kettle", "a teapot" } });
        var embeddings = (await embedded.Content.ReadFromJsonAsync<JsonObject>())!;
        Assert.Equal((2, deployed.Starter.Name), (embeddings["data"]!.AsArray().Count, (string?)embeddings["model"]));

        await DeployedPortal.UntilAsync(async () => (await deployed.UsageAsync(deployed.Starter)).All(u => u.State == UsageState.Settled), "the requests to be settled");
        var records = (await deployed.UsageAsync(deployed.Starter)).Skip(before).Select(r => (r.PromptTokens, r.CompletionTokens)).ToList();
        var input = response["usage"]!["input_tokens"]!.GetValue<int>();
        var output = response["usage"]!["output_tokens"]!.GetValue<int>();
        Assert.Equal([(input, output), (input, output), (embeddings["usage"]!["prompt_tokens"]!.GetValue<int>(), 0)], records);
    }

    [Fact]
    public async Task Refusals_HaveOpenAisShape()
    {
        var outsider = await Portal.AddPersonAsync("api-outsider@example.com", Role.Member);
        var foreignKey = (await deployed.CreateKeyAsync(outsider)).Secret;
        var stopped = await deployed.DeployAsync("resting", TokenMill.Shared.Installation.StarterModel);
        await deployed.ChangeAsync(stopped.Id, ChangeDeployment.Change.Stop);
        await deployed.ReachAsync(stopped.Id, DeploymentState.Stopped);
        var ask = (string model) => $$"""{"model":"{{model}}","messages":[{"role":"user","content":"hi"}],"max_tokens":4}""";
        (string? Key, string Body, HttpStatusCode Status, string Code)[] cases =
        [
            (null, ask("starter"), HttpStatusCode.Unauthorized, "missing_api_key"),
            ("sk-wrong", ask("starter"), HttpStatusCode.Unauthorized, "invalid_api_key"),
            (deployed.Key, ask("no-such"), HttpStatusCode.NotFound, "model_not_found"),
            (foreignKey, ask("starter"), HttpStatusCode.NotFound, "model_not_found"),
            (deployed.Key, "{", HttpStatusCode.BadRequest, "invalid_json"),
            (deployed.Key, "[]", HttpStatusCode.BadRequest, "invalid_json"),
            (deployed.Key, """{"messages":[]}""", HttpStatusCode.BadRequest, "missing_model"),
            (deployed.Key, ask("resting"), HttpStatusCode.ServiceUnavailable, "deployment_not_ready"),
        ];
        foreach (var (key, body, status, code) in cases)
        {
            using var response = await PostAsync(key, new StringContent(body, System.Text.Encoding.UTF8, "application/json"));
            Assert.Equal((body, status), (body, response.StatusCode));
            var error = (await response.Content.ReadFromJsonAsync<JsonObject>())!["error"]!.AsObject();
            Assert.Equal(["message", "type", "param", "code"], error.Select(p => p.Key));
            Assert.Equal(code, (string?)error["code"]);
            Assert.True(response.Headers.Contains("x-request-id"));
        }
        using var client = Client(foreignKey);
        Assert.Empty((await client.GetFromJsonAsync<JsonObject>("/v1/models"))!["data"]!.AsArray());
    }

    [Fact]
    public async Task RevokedKey_IsRefusedAtOnce()
    {
        var key = await deployed.CreateKeyAsync(deployed.Owner);
        using var client = Client(key.Secret);
        Assert.Contains((await client.GetFromJsonAsync<JsonObject>("/v1/models"))!["data"]!.AsArray(), m => (string?)m!["id"] == deployed.Starter.Name);

        (await Portal.Service<RevokeApiKey>().HandleAsync(deployed.Owner, key.Id, None)).OrThrow();

        Assert.Equal(HttpStatusCode.Unauthorized, (await client.GetAsync("/v1/models")).StatusCode);
    }

    [Fact]
    public async Task Disconnect_EndsTheGeneration_AndWhatWasMadeIsCounted()
    {
        var deployment = await deployed.SlowAsync();
        var before = (await deployed.MetricsAsync(deployment)).GenerationTokens;
        var records = (await deployed.UsageAsync(deployment)).Count;
        var body = JsonContent.Create(new { model = deployment.Name, messages = new[] { new { role = "user", content = "Tell me a long story about a mill." } }, max_tokens = 1500, temperature = 0, stream = true });
        var chunks = 0;
        using (var client = Client(deployed.Key, drains: false))
        using (var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = body })
        using (var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead))
        using (var reader = new StreamReader(await response.Content.ReadAsStreamAsync()))
        {
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            while (chunks < 6)
                if ((await reader.ReadLineAsync())!.StartsWith("data: {", StringComparison.Ordinal)) chunks++;
        }

        var clock = System.Diagnostics.Stopwatch.StartNew();
        await DeployedPortal.UntilAsync(async () => (await deployed.MetricsAsync(deployment)).Running == 0, "the engine to be idle");
        var idleAfter = clock.Elapsed;
        await DeployedPortal.UntilAsync(async () => (await deployed.UsageAsync(deployment)).All(u => u.State == UsageState.Settled), "the request to be settled");
        var made = (await deployed.MetricsAsync(deployment)).GenerationTokens - before;
        var record = Assert.Single((await deployed.UsageAsync(deployment)).Skip(records));

        output.WriteLine($"idle after {idleAfter.TotalMilliseconds:0} ms; {chunks} chunks read, {made} tokens made, {record.CompletionTokens} counted");
        Assert.InRange(idleAfter, TimeSpan.Zero, TimeSpan.FromSeconds(2));
        Assert.InRange(made, 4, 150);                       // left alone, the answer has more than 200
        Assert.True(record.PromptTokens > 10);
        Assert.Equal(made, record.CompletionTokens);
    }

    /// <param name="drains">.NET's client reads on for up to 2 s after its user has gone; others close the connection at once.</param>
    private HttpClient Client(string? key, bool drains = true)
    {
        var client = new HttpClient(drains ? new SocketsHttpHandler() : new SocketsHttpHandler { MaxResponseDrainSize = 0 }) { BaseAddress = Portal.Address };
        if (key is not null) client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return client;
    }

    private async Task<HttpResponseMessage> PostAsync(string? key, HttpContent content)
    {
        using var client = Client(key);
        return await client.PostAsync("/v1/chat/completions", content);
    }
}
