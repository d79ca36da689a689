using System.Text.Json.Nodes;
using TokenMill.Serving.Grammars;
using TokenMill.Serving.Host;
using TokenMill.Serving.ToolCalls;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.OpenAi;

/// <summary>A turn of a conversation, ready to be answered: the prompt, how to generate, and how to take the answer apart.</summary>
internal sealed record ChatTurn(int[] Prompt, CompletionSettings Settings, Func<AnswerReader> NewReader)
{
    /// <summary>Tokens at the end of a prompt in which a template may have begun the answer.</summary>
    private const int TailTokens = 12;

    /// <param name="format">What is wanted of the answer's text; null: nothing.</param>
    /// <param name="formatPath">Where that stands in the request.</param>
    /// <param name="variables">More variables for the chat template.</param>
    /// <exception cref="RefusedException">Something of it makes no sense or is not supported.</exception>
    /// <exception cref="TemplateException">The template does not take the conversation.</exception>
    public static ChatTurn Prepare(ServedModel model, JsonArray messages, ToolChoice tools, JsonObject? format, string formatPath, JsonObject? variables, CompletionSettings settings, bool separatesThought = true)
    {
        var checkedMessages = ChatMessages.Check(messages);
        var toolFormat = model.Markup.Tools;
        var prompt = toolFormat is null
            ? model.Encode(ToolPrompt.AddTo(checkedMessages, tools.Tools), null, variables)
            : model.Encode(checkedMessages, tools.Tools.Count == 0 ? null : [.. tools.Tools.Select(t => t.ToJson())], variables);
        toolFormat ??= ToolFormat.Hermes;
        var tail = model.Vocabulary.Decode(prompt.AsSpan(Math.Max(0, prompt.Length - TailTokens)));
        var thoughtBegun = tail.TrimEnd().EndsWith(ThoughtText.Start, StringComparison.Ordinal);
        var callBegun = toolFormat == ToolFormat.FunctionaryRecipient && tail.EndsWith(toolFormat.Start, StringComparison.Ordinal);

        var rules = new GrammarRules();
        var root = ResponseFormat.AddTo(rules, format, formatPath);
        if (tools.MustCall || root is not null && tools.Tools.Count > 0)
        {
            var calls = ToolGrammar.AddTo(rules, callBegun ? toolFormat with { Start = "" } : toolFormat, tools.Tools, tools.Parallel);
            root = tools.MustCall ? calls : rules.Add($"{root} | {calls}");
        }
        var mayThink = thoughtBegun || model.Markup.Thinks && !tail.TrimEnd().EndsWith(ThoughtText.End, StringComparison.Ordinal);
        if (root is not null && mayThink) root = ToolGrammar.WithThought(rules, root, thoughtBegun);
        var generation = settings.Generation with
        {
            VisibleControls = model.Markup.VisibleControls,
            Grammar = root is null ? null : model.Grammars.Constraint(rules.Write(root), model.Markup.VisibleControls),
        };
        var functions = tools.Tools.Select(t => t.Name).ToHashSet();
        var callable = tools.Tools.Count > 0 ? toolFormat : null;
        return new ChatTurn(prompt, settings with { Generation = generation }, () => new AnswerReader(callable, functions, tools.Parallel, thoughtBegun, callBegun, separatesThought, name => tools.Tools.FirstOrDefault(t => t.Name == name)?.Parameters));
    }
}
