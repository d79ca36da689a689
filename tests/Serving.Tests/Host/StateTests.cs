using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Serving.Host;
using TokenMill.Serving.Llama;
using TokenMill.Shared;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Tests.Host;

/// <summary>A conversation goes on in another process.</summary>
public sealed class StateTests(ITestOutputHelper output)
{
    private const string Secret = "of this test";
    private const string First = """[{"role":"user","content":"Where is the kettle? I have looked for it in the kitchen, in the cellar and under the bed."}]""";

    [Fact]
    public async Task MovedConversation_GoesOnWithTheSameWords_AndCountsAsCached()
    {
        await using var from = await StartAsync();
        await using var to = await StartAsync();
        var answer = await from.PostJsonAsync("/v1/chat/completions", Ask(First));
        var said = answer["choices"]![0]!["message"]!["content"]!.ToString();
        var next = new JsonArray([.. JsonNode.Parse(First)!.AsArray().Select(m => m!.DeepClone()), new JsonObject { ["role"] = "assistant", ["content"] = said }, new JsonObject { ["role"] = "user", ["content"] = "And the teapot?" }]).ToJsonString();
        var state = await SaveAsync(from, $$"""{"messages":{{next}},"tenant":"t"}""");

        var tokens = JsonNode.Parse(await (await RestoreAsync(to, state)).Content.ReadAsStringAsync())!["tokens"]!.GetValue<int>();
        var (here, there) = (await from.PostJsonAsync("/v1/chat/completions", Ask(next)), await to.PostJsonAsync("/v1/chat/completions", Ask(next)));
        output.WriteLine($"{state.Length} bytes for {tokens} tokens; {there["usage"]!["prompt_tokens_details"]} of {there["usage"]!["prompt_tokens"]}");
        Assert.Equal(here["choices"]![0]!["message"]!["content"]!.ToString(), there["choices"]![0]!["message"]!["content"]!.ToString());
        Assert.Equal(tokens, there["usage"]!["prompt_tokens_details"]!["cached_tokens"]!.GetValue<int>());
        Assert.True(tokens > answer["usage"]!["prompt_tokens"]!.GetValue<int>() - 2);
        Assert.Equal(0, await to.MetricAsync("kv_cache_usage_perc"));
    }

    [Fact]
    public async Task DamagedCutOrForeignState_IsRefused_AndNothingIsTaken()
    {
        await using var from = await StartAsync();
        await using var to = await StartAsync();
        await from.PostJsonAsync("/v1/chat/completions", Ask(First));
        var state = await SaveAsync(from, $$"""{"messages":{{First}},"tenant":"t"}""");
        for (var at = 0; at < state.Length; at += Math.Max(1, state.Length / 40))
        {
            byte[] flipped = [.. state];
            flipped[at] ^= 4;
            Assert.Contains(await CodeAsync(to, flipped), new[] { "state_damaged", "state_version" });
            Assert.Equal("state_damaged", await CodeAsync(to, state[..at]));
        }
        var whole = SavedSequence.Parse(state, int.MaxValue);
        foreach (var (code, changed) in new (string, SavedSequence)[]
        {
            ("state_other_model", whole with { About = whole.About with { ModelSha256 = new string('0', 64) } }),
            ("state_other_runner", whole with { About = whole.About with { StateFormat = "another" } }),
            ("state_other_adapter", whole with { About = whole.About with { AdapterSha256 = "00" } }),
            ("model_not_found", whole with { About = whole.About with { Adapter = "tuned" } }),
            ("state_damaged", whole with { About = whole.About with { Tokens = [] } }),
            ("state_damaged", whole with { About = whole.About with { Tokens = [-1] } }),
            ("state_refused", whole with { About = whole.About with { Tokens = whole.About.Tokens[..^1] } }),
            ("state_refused", whole with { About = whole.About with { StateBytes = 10 }, State = whole.State[..10] }),
        }) Assert.Equal(code, await CodeAsync(to, changed.ToBytes()));
        Assert.Equal(0, await to.MetricAsync("kv_cache_tokens"));
        Assert.Equal(HttpStatusCode.OK, (await RestoreAsync(to, state)).StatusCode);
        using var unknown = await from.PostAsync("/internal/state", """{"ids":[5,6,7],"tenant":"nobody"}""");
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
    }

    /// <summary>llama.cpp writes two caches for it, of which only the first one's head would be checked.</summary>
    [Fact]
    public async Task ModelWithASlidingWindow_NeitherGivesNorTakesStates()
    {
        var path = Models.Family("gemma3");
        using var model = Models.Load(path);
        int[] tokens = [5, 6, 7];
        var state = new SavedSequence(new(Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(path))), "any", null, null, tokens, 4), new byte[4]);
        foreach (var move in new Func<Task>[] { () => model.Moves.SaveAsync(tokens, null, ""), () => model.Moves.RestoreAsync(state, "") })
        {
            var refused = await Assert.ThrowsAsync<RefusedException>(move);
            output.WriteLine(refused.Message);
            Assert.Equal("state-not-movable", refused.Error.Code);
        }
    }

    private static Task<TestServer> StartAsync() => TestServer.StartAsync(Installation.StarterModel, new LlamaExecutorOptions { ContextTokens = 512 }, secret: Secret);

    private static string Ask(string messages) => $$"""{"messages":{{messages}},"temperature":0,"max_tokens":12,"tenant":"t"}""";

    private static async Task<byte[]> SaveAsync(TestServer server, string body)
    {
        using var response = await server.PostAsync("/internal/state", body);
        Assert.True(response.IsSuccessStatusCode, Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync()));
        return await response.Content.ReadAsByteArrayAsync();
    }

    private static Task<HttpResponseMessage> RestoreAsync(TestServer server, byte[] state) =>
        server.Client.PutAsync("/internal/state?tenant=t", new ByteArrayContent(state) { Headers = { ContentType = new MediaTypeHeaderValue(SavedSequence.ContentType) } });

    private static async Task<string> CodeAsync(TestServer server, byte[] state)
    {
        using var response = await RestoreAsync(server, state);
        return JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!["code"]!.ToString();
    }
}
