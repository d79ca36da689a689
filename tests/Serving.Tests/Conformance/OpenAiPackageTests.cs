#pragma warning disable OPENAI001                              // parts of the package that may still change
using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json.Nodes;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;
using OpenAI.Models;
using OpenAI.Responses;
using TokenMill.Serving.Host;
using TokenMill.Serving.Llama;
using TokenMill.Serving.Tests.Host;

namespace TokenMill.Serving.Tests.Conformance;

/// <summary>OpenAI's own package for .NET against a server.</summary>
public sealed class OpenAiPackageTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const string Schema = """{"type":"object","properties":{"city":{"type":"string","maxLength":8},"size":{"enum":["small","large"]}},"required":["city","size"],"additionalProperties":false}""";
    private static readonly ChatMessage[] Hello = [new UserChatMessage("Hi")];
    private static readonly ChatTool Weather = ChatTool.CreateFunctionTool("weather", null, BinaryData.FromString(Schema), functionSchemaIsStrict: true);

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() =>
        _server = await TestServer.StartAsync(Models.Family("llama-tied"), new LlamaExecutorOptions { ContextTokens = 8192 }, secret: "sk-test", adapters: new NamedAdapter("tuned", Models.Family("llama-tied", "lora/adapter_final.gguf")));

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task EveryCheck_Passes()
    {
        List<string> failed = [];
        var checks = Checks();
        foreach (var (name, check) in checks)
        {
            try
            {
                await check();
            }
            catch (Exception e)                                // of whatever kind: all checks are run, and those that failed are named
            {
                failed.Add($"{name}: {e.Message}");
            }
        }
        output.WriteLine($"{checks.Count - failed.Count} of {checks.Count} checks");
        Assert.True(failed.Count == 0, string.Join('\n', failed));
        Assert.True(checks.Count >= 40, $"only {checks.Count} checks");
    }

    private Dictionary<string, Func<Task>> Checks() => new()
    {
        ["models are listed"] = async () => Assert.Equal(["model", "tuned"], (await Client().GetOpenAIModelClient().GetModelsAsync()).Value.Select(m => m.Id)),
        ["a model is found"] = async () => Assert.Equal("tuned", (await Client().GetOpenAIModelClient().GetModelAsync("tuned")).Value.Id),
        ["a model that is none is not"] = () => RefusedAsync(404, "model_not_found", () => Client().GetOpenAIModelClient().GetModelAsync("none")),

        ["an answer has a role"] = async () => Assert.Equal(ChatMessageRole.Assistant, (await AskAsync()).Role),
        ["an answer has an id"] = async () => Assert.StartsWith("chatcmpl-", (await AskAsync()).Id, StringComparison.Ordinal),
        ["an answer has a time"] = async () => Assert.InRange((await AskAsync()).CreatedAt, DateTimeOffset.UnixEpoch.AddYears(50), DateTimeOffset.UnixEpoch.AddYears(80)),
        ["an answer names its model"] = async () => Assert.Equal("model", (await AskAsync()).Model),
        ["an answer has text"] = async () => Assert.NotEmpty(Text(await AskAsync())),
        ["an answer ends by length"] = async () => Assert.Equal(ChatFinishReason.Length, (await AskAsync(o => o.MaxOutputTokenCount = 2)).FinishReason),
        ["an answer counts its tokens"] = async () =>
        {
            var usage = (await AskAsync(o => o.MaxOutputTokenCount = 5)).Usage;
            Assert.Equal((5, usage.InputTokenCount + 5), (usage.OutputTokenCount, usage.TotalTokenCount));
        },
        ["an answer counts cached tokens"] = async () =>
        {
            await AskAsync();
            var usage = (await AskAsync()).Usage;
            Assert.Equal(usage.InputTokenCount - 1, usage.InputTokenDetails.CachedTokenCount);
        },
        ["an answer is repeated at temperature 0"] = async () => Assert.Equal(Text(await AskAsync()), Text(await AskAsync())),
        ["an answer is repeated by its seed"] = async () => Assert.Equal(Text(await AskAsync(o => (o.Temperature, o.Seed) = (1, 7))), Text(await AskAsync(o => (o.Temperature, o.Seed) = (1, 7)))),
        ["an answer differs by its seed"] = async () => Assert.NotEqual(Text(await AskAsync(o => (o.Temperature, o.Seed) = (1, 7))), Text(await AskAsync(o => (o.Temperature, o.Seed) = (1, 8)))),
        ["an answer stops before a text"] = async () =>
        {
            var whole = Text(await AskAsync());
            var stop = whole.Substring(3, 3);
            var cut = await AskAsync(o => o.StopSequences.Add(stop));
            Assert.Equal((whole[..whole.IndexOf(stop, StringComparison.Ordinal)], ChatFinishReason.Stop), (Text(cut), cut.FinishReason));
        },
        ["an answer has log-probabilities"] = async () => Assert.All((await AskAsync(o => o.IncludeLogProbabilities = true)).ContentTokenLogProbabilities, t => Assert.True(t.LogProbability <= 0 && t.Utf8Bytes is { Length: > 0 })),
        ["an answer has alternatives"] = async () => Assert.All((await AskAsync(o => (o.IncludeLogProbabilities, o.TopLogProbabilityCount) = (true, 3))).ContentTokenLogProbabilities, t => Assert.Equal(3, t.TopLogProbabilities.Count)),
        ["an answer is biased"] = async () => Assert.Single((await AskAsync(o => (o.IncludeLogProbabilities, o.LogitBiases[40]) = (true, 100))).ContentTokenLogProbabilities.Select(t => t.Token).Distinct()),
        ["an answer is penalised"] = async () => Assert.True((await AskAsync(o => (o.IncludeLogProbabilities, o.LogitBiases[40], o.PresencePenalty, o.FrequencyPenalty) = (true, 5, 2, 2))).ContentTokenLogProbabilities.Select(t => t.Token).Distinct().Count() > 4),
        ["an answer takes top-p"] = async () => Assert.NotEmpty(Text(await AskAsync(o => (o.Temperature, o.TopP) = (1, 0.5f)))),
        ["an answer takes a system message"] = async () => Assert.NotEmpty((await Chat().CompleteChatAsync([new SystemChatMessage("Be kind."), .. Hello], Options())).Value.Content),
        ["an answer takes a developer's message"] = async () => Assert.NotEmpty((await Chat().CompleteChatAsync([new DeveloperChatMessage("Be kind."), .. Hello], Options())).Value.Content),
        ["an answer takes parts of text"] = async () => Assert.NotEmpty((await Chat().CompleteChatAsync([new UserChatMessage(ChatMessageContentPart.CreateTextPart("Hi "), ChatMessageContentPart.CreateTextPart("there"))], Options())).Value.Content),
        ["an answer takes an adapter"] = async () => Assert.Equal("tuned", (await Chat("tuned").CompleteChatAsync(Hello, Options())).Value.Model),
        ["an answer has a request id"] = async () => Assert.True((await Chat().CompleteChatAsync(Hello, Options())).GetRawResponse().Headers.TryGetValue("x-request-id", out _)),

        ["a stream says what the whole says"] = async () => Assert.Equal(Text(await AskAsync()), (await StreamAsync()).Text),
        ["a stream ends with a reason"] = async () => Assert.Equal(ChatFinishReason.Length, Assert.Single((await StreamAsync(o => o.MaxOutputTokenCount = 2)).Updates, u => u.FinishReason is not null).FinishReason),
        ["a stream ends with its usage"] = async () => Assert.Equal(12, (await StreamAsync(o => o.MaxOutputTokenCount = 12)).Updates[^1].Usage.OutputTokenCount),
        ["a stream begins with a role"] = async () => Assert.Equal(ChatMessageRole.Assistant, (await StreamAsync()).Updates[0].Role),
        ["a stream has one id"] = async () => Assert.Single((await StreamAsync()).Updates.Select(u => u.CompletionId).Distinct()),
        ["a stream has log-probabilities"] = async () => Assert.Equal((await AskAsync(o => o.IncludeLogProbabilities = true)).ContentTokenLogProbabilities.Count, (await StreamAsync(o => o.IncludeLogProbabilities = true)).Updates.Sum(u => u.ContentTokenLogProbabilities.Count)),
        ["a stream is left in the middle"] = async () =>
        {
            await foreach (var _ in Chat().CompleteChatStreamingAsync(Hello, Options(o => o.MaxOutputTokenCount = 400))) break;
            Assert.NotEmpty(Text(await AskAsync()));
        },
        ["a stream is cancelled"] = async () =>
        {
            using var stop = new CancellationTokenSource();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
            {
                await foreach (var _ in Chat().CompleteChatStreamingAsync(Hello, Options(o => o.MaxOutputTokenCount = 400), stop.Token)) await stop.CancelAsync();
            });
        },
        ["a request is cancelled"] = async () =>
        {
            using var stop = new CancellationTokenSource(20);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Chat().CompleteChatAsync(Hello, Options(o => o.MaxOutputTokenCount = 480), stop.Token));
        },
        ["a request runs out of time"] = () => Assert.ThrowsAnyAsync<Exception>(() => Client(timeout: TimeSpan.FromMilliseconds(1)).GetChatClient("model").CompleteChatAsync(Hello, Options(o => o.MaxOutputTokenCount = 480))),

        ["a schema is followed"] = async () =>
        {
            var answer = JsonNode.Parse(Text(await AskAsync(o => (o.MaxOutputTokenCount, o.ResponseFormat) = (200, ChatResponseFormat.CreateJsonSchemaFormat("x", BinaryData.FromString(Schema), jsonSchemaIsStrict: true)))))!;
            Assert.Contains(answer["size"]!.ToString(), new[] { "small", "large" });
        },
        ["a schema is followed in a stream"] = async () => Assert.NotNull(JsonNode.Parse((await StreamAsync(o => (o.MaxOutputTokenCount, o.ResponseFormat) = (200, ChatResponseFormat.CreateJsonSchemaFormat("x", BinaryData.FromString(Schema))))).Text)),
        ["an object is written"] = async () => Assert.StartsWith("{", Text(await AskAsync(o => o.ResponseFormat = ChatResponseFormat.CreateJsonObjectFormat())), StringComparison.Ordinal),
        ["a schema that is not supported is refused"] = () => RefusedAsync(400, "unsupported_schema", () => AskAsync(o => o.ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("x", BinaryData.FromString("""{"not":{"type":"null"}}""")))),

        ["a function is called"] = async () =>
        {
            var answer = await AskAsync(Calls(ChatToolChoice.CreateRequiredChoice()));
            Assert.Equal((ChatFinishReason.ToolCalls, "weather", ChatToolCallKind.Function), (answer.FinishReason, Assert.Single(answer.ToolCalls).FunctionName, answer.ToolCalls[0].Kind));
            Assert.NotNull(JsonNode.Parse(answer.ToolCalls[0].FunctionArguments)!["size"]);
        },
        ["a function is called by its name"] = async () => Assert.Single((await AskAsync(Calls(ChatToolChoice.CreateFunctionChoice("weather")))).ToolCalls),
        ["a function is not called"] = async () => Assert.Empty((await AskAsync(Calls(ChatToolChoice.CreateNoneChoice()))).ToolCalls),
        ["a function may be called"] = async () => Assert.NotNull(await AskAsync(o => o.Tools.Add(Weather))),
        ["a function is called in a stream"] = async () =>
        {
            var updates = (await StreamAsync(Calls(ChatToolChoice.CreateRequiredChoice()))).Updates.SelectMany(u => u.ToolCallUpdates).ToList();
            Assert.Equal("weather", Assert.Single(updates, u => u.ToolCallId is not null).FunctionName);
            Assert.Equal((await AskAsync(Calls(ChatToolChoice.CreateRequiredChoice()))).ToolCalls[0].FunctionArguments.ToString(), string.Concat(updates.Select(u => u.FunctionArgumentsUpdate?.ToString())));
        },
        ["a function's result goes back"] = async () =>
        {
            var answer = await AskAsync(Calls(ChatToolChoice.CreateRequiredChoice()));
            Assert.NotNull((await Chat().CompleteChatAsync([.. Hello, new AssistantChatMessage(answer), new ToolChatMessage(answer.ToolCalls[0].Id, "12 °C")], Options())).Value);
        },

        ["a text is embedded"] = async () => Assert.NotEqual(0, (await Embeddings().GenerateEmbeddingAsync("Hello")).Value.ToFloats().Length),
        ["texts are embedded"] = async () =>
        {
            var both = (await Embeddings().GenerateEmbeddingsAsync(["Hello", "Sea"])).Value;
            Assert.Equal([0, 1], both.Select(e => e.Index));
            Assert.Equal(both.Usage.TotalTokenCount, both.Usage.InputTokenCount);
            Assert.True(both.Usage.InputTokenCount > 1);
        },
        ["fewer dimensions are given"] = async () => Assert.Equal(4, (await Embeddings().GenerateEmbeddingAsync("Hello", new EmbeddingGenerationOptions { Dimensions = 4 })).Value.ToFloats().Length),

        ["a response has text"] = async () => Assert.NotEmpty((await Responses().CreateResponseAsync(Response())).Value.GetOutputText()),
        ["a response counts its tokens"] = async () => Assert.Equal(9, (await Responses().CreateResponseAsync(Response(r => r.MaxOutputTokenCount = 9))).Value.Usage.OutputTokenCount),
        ["a response streams what it says"] = async () =>
        {
            var text = "";
            await foreach (var update in await Responses().CreateResponseStreamingAsync(Response(r => r.StreamingEnabled = true)))
                if (update is StreamingResponseOutputTextDeltaUpdate delta) text += delta.Delta;
            Assert.Equal((await Responses().CreateResponseAsync(Response())).Value.GetOutputText(), text);
        },
        ["a response calls a function"] = async () => Assert.Equal("weather", Assert.IsType<FunctionCallResponseItem>(Assert.Single((await Responses().CreateResponseAsync(Response(r =>
        {
            (r.MaxOutputTokenCount, r.ToolChoice, r.ParallelToolCallsEnabled) = (110, ResponseToolChoice.CreateRequiredChoice(), false);
            r.Tools.Add(ResponseTool.CreateFunctionTool("weather", BinaryData.FromString(Schema), strictModeEnabled: true));
        }))).Value.OutputItems)).FunctionName),

        ["a wrong value is refused"] = () => RefusedAsync(400, "invalid_value", () => AskAsync(o => o.Temperature = 3)),
        ["too long a prompt is refused"] = () => RefusedAsync(400, "context_length_exceeded", () => Chat().CompleteChatAsync(new UserChatMessage(string.Concat(Enumerable.Repeat("word ", 2_000))))),
        ["an unknown model is refused"] = () => RefusedAsync(404, "model_not_found", () => Chat("none").CompleteChatAsync(Hello)),
        ["a wrong key is refused"] = () => RefusedAsync(401, "invalid_api_key", () => Client("wrong").GetChatClient("model").CompleteChatAsync(Hello)),
    };

    private OpenAIClient Client(string key = "sk-test", TimeSpan? timeout = null) =>
        new(new ApiKeyCredential(key), new OpenAIClientOptions { Endpoint = new Uri(_server.Address, "/v1"), RetryPolicy = new ClientRetryPolicy(0), NetworkTimeout = timeout });

    private ChatClient Chat(string model = "model") => Client().GetChatClient(model);

    private EmbeddingClient Embeddings() => Client().GetEmbeddingClient("model");

    private ResponsesClient Responses() => Client().GetResponsesClient();

    private static ChatCompletionOptions Options(Action<ChatCompletionOptions>? change = null)
    {
        var options = new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = 16 };
        change?.Invoke(options);
        return options;
    }

    private static Action<ChatCompletionOptions> Calls(ChatToolChoice choice) => options =>
    {
        (options.MaxOutputTokenCount, options.ToolChoice, options.AllowParallelToolCalls) = (110, choice, false);
        options.Tools.Add(Weather);
    };

    private static CreateResponseOptions Response(Action<CreateResponseOptions>? change = null)
    {
        var options = new CreateResponseOptions("model", [ResponseItem.CreateUserMessageItem("Hi")]) { Temperature = 0, MaxOutputTokenCount = 12 };
        change?.Invoke(options);
        return options;
    }

    private async Task<ChatCompletion> AskAsync(Action<ChatCompletionOptions>? change = null) => (await Chat().CompleteChatAsync(Hello, Options(change))).Value;

    private async Task<(string Text, List<StreamingChatCompletionUpdate> Updates)> StreamAsync(Action<ChatCompletionOptions>? change = null)
    {
        List<StreamingChatCompletionUpdate> updates = [];
        await foreach (var update in Chat().CompleteChatStreamingAsync(Hello, Options(change))) updates.Add(update);
        return (string.Concat(updates.SelectMany(u => u.ContentUpdate).Select(c => c.Text)), updates);
    }

    private static string Text(ChatCompletion completion) => string.Concat(completion.Content.Select(c => c.Text));

    private static async Task RefusedAsync(int status, string code, Func<Task> call)
    {
        var refused = await Assert.ThrowsAsync<ClientResultException>(call);
        Assert.Equal(status, refused.Status);
        Assert.Contains(code, refused.GetRawResponse()!.Content.ToString(), StringComparison.Ordinal);
    }
}
