using System.Text.Json.Nodes;
using TokenMill.Serving.Llama;

namespace TokenMill.Serving.Tests.Host;

public sealed class ResponsesTests : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(Models.Family("llama-tied"), new LlamaExecutorOptions { ContextTokens = 4096 });

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Response_SaysWhatChatSays_AndItsEventsAddUpToIt()
    {
        const string body = """{"instructions":"Be brief.","input":[{"role":"user","content":[{"type":"input_text","text":"Hi"}]}],"temperature":0,"max_output_tokens":24,"ignore_eos":true""";
        var whole = await _server.PostJsonAsync("/v1/responses", body + "}");
        var chat = await _server.PostJsonAsync("/v1/chat/completions", """{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}],"temperature":0,"max_tokens":24,"ignore_eos":true}""");
        Assert.Equal(("incomplete", "max_output_tokens"), (whole["status"]!.ToString(), whole["incomplete_details"]!["reason"]!.ToString()));
        Assert.Equal(chat["choices"]![0]!["message"]!["content"]!.ToString(), whole["output"]![0]!["content"]![0]!["text"]!.ToString());
        Assert.Equal((chat["usage"]!["prompt_tokens"]!.GetValue<int>(), 24), (whole["usage"]!["input_tokens"]!.GetValue<int>(), whole["usage"]!["output_tokens"]!.GetValue<int>()));

        var events = await EventsAsync(body + ""","stream":true}""");
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(e => e["sequence_number"]!.GetValue<int>()));
        Assert.Equal(["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"], events[..4].Select(e => e["type"]!.ToString()));
        Assert.Equal(["response.output_text.done", "response.content_part.done", "response.output_item.done", "response.incomplete"], events[^4..].Select(e => e["type"]!.ToString()));
        var text = string.Concat(events.Where(e => e["type"]!.ToString() == "response.output_text.delta").Select(e => e["delta"]!.ToString()));
        Assert.Equal(whole["output"]![0]!["content"]![0]!["text"]!.ToString(), text);
        Assert.Equal(text, events[^1]["response"]!["output"]![0]!["content"]![0]!["text"]!.ToString());
    }

    [Fact]
    public async Task Response_WithTools_CallsAndReadsResults()
    {
        const string tools = ""","tools":[{"type":"function","name":"find","parameters":{"type":"object","properties":{"id":{"type":"integer","minimum":0,"maximum":99}},"required":["id"],"additionalProperties":false},"strict":true}],"tool_choice":"required","parallel_tool_calls":false,"temperature":0""";
        var events = await EventsAsync("""{"input":"Find it","stream":true""" + tools + "}");
        var item = events[^1]["response"]!["output"]!.AsArray().Single()!;
        Assert.Equal(("function_call", "find", "completed"), (item["type"]!.ToString(), item["name"]!.ToString(), item["status"]!.ToString()));
        Assert.InRange(JsonNode.Parse(item["arguments"]!.ToString())!["id"]!.GetValue<int>(), 0, 99);
        Assert.Equal(item["arguments"]!.ToString(), string.Concat(events.Where(e => e["type"]!.ToString() == "response.function_call_arguments.delta").Select(e => e["delta"]!.ToString())));
        var next = await _server.PostJsonAsync("/v1/responses", $$"""{"input":[{"role":"user","content":"Find it"},{{item.ToJsonString()}},{"type":"function_call_output","call_id":"{{item["call_id"]}}","output":"here"}],"max_output_tokens":3}""");
        Assert.Equal("response", next["object"]!.ToString());
        foreach (var (body, param) in new[] { ("""{"input":7}""", "input"), ("""{"input":"a","previous_response_id":"resp_1"}""", "previous_response_id"), ("""{"input":[{"type":"image"}]}""", "input[0].type"), ("""{"input":"a","text":{"format":{"type":"json_schema","schema":{"not":{"type":"null"}}}}}""", "text.format.schema.not") })
        {
            using var response = await _server.PostAsync("/v1/responses", body);
            Assert.Equal((400, param), ((int)response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!["param"]!.ToString()));
        }
    }

    private async Task<List<JsonNode>> EventsAsync(string body)
    {
        using var response = await _server.PostAsync("/v1/responses", body);
        var text = await response.Content.ReadAsStringAsync();
        return [.. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(e =>
        {
            var lines = e.Split('\n');
            var data = JsonNode.Parse(lines[1]["data: ".Length..])!;
            Assert.Equal($"event: {data["type"]}", lines[0]);
            return data;
        })];
    }
}
