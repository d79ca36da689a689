using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.ChatTemplates;

/// <summary>Tries a template that came from outside on two small conversations before anything relies on it.</summary>
public static class ChatTemplateCheck
{
    private const string Remedy = "choose another chat template for this model";

    private static readonly string[] Conversations =
    [
        """[{"role": "user", "content": "Hello"}]""",
        """[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Bye"}]""",
    ];

    /// <summary>
    /// What is wrong with a template: <c>template-syntax</c>, <c>template-unsafe</c>, <c>template-budget</c>, <c>template-error</c>; null if it can be used.
    /// A template may refuse a conversation and still be a good one.
    /// </summary>
    public static Error? Check(string source)
    {
        try
        {
            var template = ChatTemplate.Parse(source);
            var failures = Conversations.Select(c => Try(template, c)).ToList();
            return failures.Find(f => f is { Code: not "template-error" }) ?? (failures.TrueForAll(f => f is not null) ? failures[0] : null);
        }
        catch (TemplateException e)
        {
            return ToError(e);
        }
    }

    private static Error? Try(ChatTemplate template, string conversation)
    {
        try
        {
            template.Render(JsonNode.Parse(conversation)!.AsArray(), null, addGenerationPrompt: true, "<s>", "</s>");
            return null;
        }
        catch (TemplateException e)
        {
            return e.Kind == TemplateErrorKind.RaiseException ? null : ToError(e);
        }
    }

    private static Error ToError(TemplateException exception) => (exception.Kind, exception.ErrorType) switch
    {
        (TemplateErrorKind.Budget, _) or (_, "OverflowError") => new("template-budget", exception.Message, Remedy),
        (_, "SecurityError") => new("template-unsafe", $"the chat template reaches for the inside of objects: {exception.Message}", Remedy),
        (_, "TemplateSyntaxError" or "TemplateAssertionError") => new("template-syntax", $"the chat template does not parse: {exception.Message}", Remedy),
        _ => new("template-error", $"the chat template fails: {exception.Message}", Remedy),
    };
}
