using System.Buffers;
using System.Text.RegularExpressions;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>What is worth knowing about a text before it is learned. Findings only: the text is kept as it is.</summary>
/// <param name="enabled">False where nobody asks for findings, as in the trainer.</param>
internal sealed partial class ContentCheck(bool enabled)
{
    private static readonly SearchValues<char> TokenBrackets = SearchValues.Create("<[");

    public void Check(ReadOnlySpan<char> text, in FieldPath field, RowFindings findings)
    {
        if (!enabled) return;
        if (TemplateToken(text) is { } token)
            findings.Warn(field, "template-token", $"contains {token}: it is learned as letters, never as the control token; remove it if it came from an export", match: token);
        HiddenCharacters.Check(text, field, findings);
        foreach (var (type, match) in PersonalData.Find(text))
            findings.Warn(field, "pii", $"looks like personal or secret data ({type}): {match}; replace it if it is real", match: match, type: type);
        if (Gibberish.Kind(text) is { } kind)
            findings.Warn(field, "non-text", $"does not read like language ({kind}); remove the row if nobody should learn it");
    }

    private static string? TemplateToken(ReadOnlySpan<char> text)
    {
        if (!text.ContainsAny(TokenBrackets)) return null;
        foreach (var match in ControlText().EnumerateMatches(text)) return text.Slice(match.Index, match.Length).ToString();
        return null;
    }

    /// <summary>Control tokens of the common families: ChatML, Llama 2 and 3, Mistral, Gemma, Phi, DeepSeek, and their like.</summary>
    [GeneratedRegex(@"<\|[A-Za-z0-9_▁/-]{1,40}\|>(?:system|user|assistant|tool)?|<｜[^<>｜]{1,40}｜>|</s>|^<s>|<(?:start|end)_of_(?:turn|image)>|<(?:bos|eos|pad|unk|mask)>|\[/?INST\]|<</?SYS>>|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT)\]|<(?:BOS|EOS)_TOKEN>|<\|(?:START|END)_OF_TURN_TOKEN\|>", RegexOptions.CultureInvariant)]
    private static partial Regex ControlText();
}
