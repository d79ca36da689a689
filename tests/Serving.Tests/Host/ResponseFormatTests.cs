using System.Diagnostics;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using TokenMill.Serving.Llama;

namespace TokenMill.Serving.Tests.Host;

/// <summary>Answers under a schema, by models that would never write JSON by themselves.</summary>
public sealed class ResponseFormatTests(ITestOutputHelper output)
{
    private const string Schema = """{"type":"object","properties":{"name":{"type":"string","maxLength":12},"size":{"enum":["small","large"]},"ages":{"type":"array","items":{"type":"integer","minimum":0,"maximum":120},"maxItems":4},"plate":{"type":"string","pattern":"^[A-Z]{2}-[0-9]{3}$"}},"required":["name","size","ages","plate"],"additionalProperties":false}""";

    [Fact]
    public async Task Schema_AnswersOfANoisyModel_AllFollowIt()
    {
        await using var server = await TestServer.StartAsync(Models.Family("llama-tied"), new LlamaExecutorOptions { ContextTokens = 8192 });
        var answer = await server.PostJsonAsync("/v1/chat/completions", $$"""{"messages":[{"role":"user","content":"Hi"}],"n":16,"seed":1,"temperature":1.5,"max_tokens":400,"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{{Schema}} } } }""");
        Assert.All(answer["choices"]!.AsArray(), choice =>
        {
            Assert.Equal("stop", choice!["finish_reason"]!.ToString());
            var document = JsonNode.Parse(choice["message"]!["content"]!.ToString())!.AsObject();
            Assert.Equal(["name", "size", "ages", "plate"], document.Select(p => p.Key));
            Assert.InRange(document["name"]!.GetValue<string>().EnumerateRunes().Count(), 0, 12);
            Assert.Contains(document["size"]!.GetValue<string>(), new[] { "small", "large" });
            Assert.All(document["ages"]!.AsArray(), age => Assert.InRange(age!.GetValue<int>(), 0, 120));
            Assert.Matches("^[A-Z]{2}-[0-9]{3}$", document["plate"]!.GetValue<string>());
        });
        Assert.Equal(16, answer["choices"]!.AsArray().Select(c => c!["message"]!["content"]!.ToString()).Distinct().Count());

        var any = await server.PostJsonAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"Hi"}],"n":8,"seed":2,"max_tokens":450,"temperature":0.7,"response_format":{"type":"json_object"}}""");
        Assert.All(any["choices"]!.AsArray().Where(c => c!["finish_reason"]!.ToString() == "stop"), c => Assert.IsType<JsonObject>(JsonNode.Parse(c!["message"]!["content"]!.ToString())));
    }

    [Fact]
    public async Task Schema_LargeVocabulary_CostsLittle()
    {
        await using var server = await TestServer.StartAsync(Models.SmolLm2, new LlamaExecutorOptions { ContextTokens = 2048 });
        const string question = """{"messages":[{"role":"user","content":"Describe a car and its owners as JSON."}],"temperature":0,"max_tokens":120""";
        await server.PostJsonAsync("/v1/chat/completions", question + "}");
        var (start, free) = (Stopwatch.GetTimestamp(), await server.PostJsonAsync("/v1/chat/completions", question + "}"));
        var freeTime = Stopwatch.GetElapsedTime(start) / free["usage"]!["completion_tokens"]!.GetValue<int>();
        foreach (var round in new[] { "first", "again" })
        {
            start = Stopwatch.GetTimestamp();
            var held = await server.PostJsonAsync("/v1/chat/completions", question + $$""","response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{{Schema}} } } }""");
            var time = Stopwatch.GetElapsedTime(start) / held["usage"]!["completion_tokens"]!.GetValue<int>();
            output.WriteLine($"{round}: {time.TotalMilliseconds:0.0} ms a token, {freeTime.TotalMilliseconds:0.0} free: {Regex.Replace(held["choices"]![0]!["message"]!["content"]!.ToString(), @"\s+", " ")}");
            Assert.Equal("stop", held["choices"]![0]!["finish_reason"]!.ToString());
            Assert.NotNull(JsonNode.Parse(held["choices"]![0]!["message"]!["content"]!.ToString()));
            Assert.True(time < freeTime * 4 + TimeSpan.FromMilliseconds(30), "the grammar holds the engine up");
        }
    }
}
