using System.Text;
using TokenMill.Serving.Sampling;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.OpenAi;

/// <summary>Puts the parts of one answer together.</summary>
internal sealed class MessageBuilder
{
    private readonly StringBuilder _content = new(), _reasoning = new();
    private readonly List<(ToolCall Begun, StringBuilder Arguments)> _calls = [];

    public List<TokenLogprob> Logprobs { get; } = [];

    public void Add(ChatCompletionChunk.Delta delta)
    {
        _content.Append(delta.Content);
        _reasoning.Append(delta.ReasoningContent);
        foreach (var call in delta.ToolCalls ?? [])
        {
            if (call.Id is not null) _calls.Add((call, new StringBuilder()));
            _calls[^1].Arguments.Append(call.Function.Arguments);
        }
    }

    public ChatMessage Build() => new("assistant",
        _content.Length == 0 && _calls.Count > 0 ? null : _content.ToString(),
        _reasoning.Length == 0 ? null : _reasoning.ToString(),
        _calls.Count == 0 ? null : [.. _calls.Select(c => c.Begun with { Index = null, Function = c.Begun.Function with { Arguments = c.Arguments.ToString() } })]);
}
