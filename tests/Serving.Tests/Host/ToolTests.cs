using System.Text.Json.Nodes;
using TokenMill.Serving.Llama;

namespace TokenMill.Serving.Tests.Host;

/// <summary>Calls of functions over HTTP, by models that would never make one by themselves.</summary>
public sealed class ToolTests
{
    private const string Tools = "\"tools\":" + """[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string","maxLength":10},"unit":{"enum":["C","F"]}},"required":["city","unit"]}}},{"type":"function","function":{"name":"stop","parameters":{"type":"object","properties":{},"additionalProperties":false}}}]""";

    private static string Body(string more) => $$"""{"messages":[{"role":"user","content":"How warm is it in Bern?"}],"max_tokens":105,"chat_template_kwargs":{"enable_thinking":false},{{Tools}}{{more}}}""";

    [Theory]
    [InlineData("llama-tied")]
    [InlineData("qwen2")]
    public async Task Required_CallsAGivenFunctionWithFittingArguments(string family)
    {
        await using var server = await TestServer.StartAsync(Models.Family(family), new LlamaExecutorOptions { ContextTokens = 4096 });
        var answer = await server.PostJsonAsync("/v1/chat/completions", Body(""","tool_choice":"required","parallel_tool_calls":false,"n":6,"seed":1,"temperature":1.3"""));
        foreach (var choice in answer["choices"]!.AsArray())
        {
            Assert.Equal("tool_calls", choice!["finish_reason"]!.ToString());
            Assert.Null(choice["message"]!["content"]);
            var call = Assert.Single(choice["message"]!["tool_calls"]!.AsArray())!;
            Assert.StartsWith("call_", call["id"]!.ToString(), StringComparison.Ordinal);
            var arguments = JsonNode.Parse(call["function"]!["arguments"]!.ToString())!.AsObject();
            if (call["function"]!["name"]!.ToString() == "get_weather") Assert.Contains(arguments["unit"]!.ToString(), new[] { "C", "F" });
        }

        var named = Body(""","tool_choice":{"type":"function","function":{"name":"get_weather"}},"temperature":0""");
        var whole = (await server.PostJsonAsync("/v1/chat/completions", named))["choices"]![0]!["message"]!["tool_calls"]![0]!["function"]!;
        Assert.Equal("get_weather", whole["name"]!.ToString());
        var events = await server.StreamAsync("/v1/chat/completions", named[..^1] + ""","stream":true}""");
        var deltas = events[..^1].Select(e => JsonNode.Parse(e)!["choices"]![0]!).ToList();
        var calls = deltas.Select(d => d["delta"]!["tool_calls"]?[0]).Where(c => c is not null).ToList();
        Assert.Equal("get_weather", Assert.Single(calls, c => c!["id"] is not null)!["function"]!["name"]!.ToString());
        Assert.True(calls.Count > 4 && calls.TrueForAll(c => c!["index"]!.GetValue<int>() == 0), "arguments come in parts");
        Assert.Equal(whole["arguments"]!.ToString(), string.Concat(calls.Select(c => c!["function"]!["arguments"]!.ToString())));
        Assert.Equal("tool_calls", deltas[^1]["finish_reason"]!.ToString());
    }

    [Fact]
    public async Task CallsAndResults_AreReadBack_AndBadOnesRefused()
    {
        await using var server = await TestServer.StartAsync(Models.Family("llama-tied"));
        const string history = """{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"stop","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"done"}],"max_tokens":3,""";
        Assert.Equal("length", (await server.PostJsonAsync("/v1/chat/completions", history + "\"ignore_eos\":true," + Tools + "}"))["choices"]![0]!["finish_reason"]!.ToString());
        foreach (var (body, param) in new[]
        {
            (history.Replace("\"arguments\":\"{}\"", "\"arguments\":{}", StringComparison.Ordinal) + Tools + "}", "messages[1].tool_calls[0].function.arguments"),
            ("""{"messages":[{"role":"user","content":"a"}],"tool_choice":"required"}""", "tool_choice"),
            (Body(""","tool_choice":{"type":"function","function":{"name":"other"}}"""), "tool_choice"),
            (Body(""","tool_choice":"sometimes" """), "tool_choice"),
            ("""{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"a b"}}]}""", "tools[0].function.name"),
            ("""{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"retrieval"}]}""", "tools[0].type"),
            ("""{"messages":[{"role":"user","content":"a"}],"tool_choice":"required","tools":[{"type":"function","function":{"name":"a","strict":true,"parameters":{"not":{"type":"null"}}}}]}""", "tools[0].function.parameters.not"),
        })
        {
            using var response = await server.PostAsync("/v1/chat/completions", body);
            var error = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!;
            Assert.Equal((400, param), ((int)response.StatusCode, error["param"]!.ToString()));
        }
    }
}
