using TokenMill.Shared.Formats.Gguf;
using TokenMill.Testing;

namespace TokenMill.Serving.Tests.Host;

/// <summary>The built-in model under a template that begins every answer with reasoning, which it never ends.</summary>
public sealed class ReasoningTests : IDisposable
{
    private readonly string _model = Models.TemporaryPath();

    public ReasoningTests()
    {
        using var starter = GgufFile.Open(Path.Combine(Reference.Repository, "models", "starter", "starter.gguf"));
        var writer = new GgufWriter();
        writer.CopyPairs(starter.Metadata, key => key != "tokenizer.chat_template");
        writer.Add("tokenizer.chat_template", "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: <think>\n{% endif %}");
        foreach (var tensor in starter.Tensors) writer.AddTensor(tensor.Name, tensor.Dimensions, tensor.Type, stream => starter.CopyTo(tensor, stream));
        writer.Save(_model);
    }

    public void Dispose() => File.Delete(_model);

    [Fact]
    public async Task Usage_CountsReasoningTokens()
    {
        await using var server = await TestServer.StartAsync(_model);
        const string request = """{"messages":[{"role":"user","content":"Tell me a story."}],"max_tokens":20,"temperature":0,"ignore_eos":true""";
        var whole = await server.PostJsonAsync("/v1/chat/completions", request + "}");
        Assert.NotEmpty(whole["choices"]![0]!["message"]!["reasoning_content"]!.ToString());
        Assert.Equal((20, 20), ((int)whole["usage"]!["completion_tokens"]!, (int)whole["usage"]!["completion_tokens_details"]!["reasoning_tokens"]!));
        var events = await server.StreamAsync("/v1/chat/completions", request + ""","stream":true,"stream_options":{"include_usage":true}}""");
        Assert.Contains("\"reasoning_tokens\":20", events[^2], StringComparison.Ordinal);
        var plain = await server.PostJsonAsync("/v1/chat/completions", request + ""","reasoning_format":"none"}""");
        Assert.Equal((20, 0), ((int)plain["usage"]!["completion_tokens"]!, (int)plain["usage"]!["completion_tokens_details"]!["reasoning_tokens"]!));
    }
}
