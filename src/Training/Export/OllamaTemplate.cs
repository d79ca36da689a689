using System.Text.Json.Nodes;
using TokenMill.Shared.ChatTemplates;

namespace TokenMill.Training.Export;

/// <summary>
/// A chat template in Ollama's language (Go's text/template), found from what the model's own template renders: the text
/// before and after each kind of message is read off small conversations, then put together again and compared.
/// </summary>
/// <param name="Opening">Before a first message of the user, where there is no system message.</param>
/// <param name="BeforeSystem">All that precedes the text of a system message.</param>
/// <param name="AfterUser">To the beginning of the answer.</param>
internal sealed record OllamaTemplate(string Opening, string BeforeSystem, string AfterSystem, string BeforeUser, string AfterUser, string AfterAssistant)
{
    /// <summary>The system message stands inside the first message of the user, whose beginning it takes with it (Gemma).</summary>
    public bool SystemInUser { get; private init; }

    private const string System = "system-text", User = "user-text", Assistant = "assistant-text", Next = "next-user-text";

    /// <summary>Null where messages are rendered in a way that these parts cannot say.</summary>
    /// <param name="addedBos">What the runner puts in front by itself.</param>
    public static OllamaTemplate? Of(ModelChatTemplate template, string? addedBos)
    {
        string? Render(params (string Role, string Text)[] messages)
        {
            try
            {
                var text = template.Render(new JsonArray([.. messages.Select(m => (JsonNode)new JsonObject { ["role"] = m.Role, ["content"] = m.Text })]), null, addGenerationPrompt: true);
                return addedBos is not null && text.StartsWith(addedBos, StringComparison.Ordinal) ? text[addedBos.Length..] : text;
            }
            catch (TemplateException)
            {
                return null;
            }
        }
        (string, string)[] one = [("user", User)], two = [("user", User), ("assistant", Assistant), ("user", Next)];
        (string, string) system = ("system", System);
        var (first, dialogue, guided) = (Cut(Render(one), User), Cut(Render(two), User, Assistant, Next), Cut(Render([system, .. one]), System, User));
        if (first is null || dialogue is null) return null;

        // first: opening + before user | after user; dialogue: … | after user | after assistant + before user | after user
        var beforeUser = CommonEnd(first[0], dialogue[2]);
        // An end of turn that all predecessors share is theirs, not the user's.
        if (template.EosToken is { Length: > 0 } end && beforeUser.StartsWith(end, StringComparison.Ordinal)) beforeUser = beforeUser[end.Length..].TrimStart('\n');
        var opening = first[0][..^beforeUser.Length];
        var afterAssistant = dialogue[2][..^beforeUser.Length];
        if (guided is null) return null;
        var inUser = !guided[1].EndsWith(beforeUser, StringComparison.Ordinal);
        var made = new OllamaTemplate(opening, guided[0], inUser ? guided[1] : guided[1][..^beforeUser.Length], beforeUser, first[1], afterAssistant) { SystemInUser = inUser };
        return new[] { one, two, [system, .. one], [system, .. two] }.All(messages => made.Render(messages) == Render(messages)) ? made : null;
    }

    public override string ToString() =>
        "{{ range $i, $_ := .Messages }}"
        + $"{{{{ if eq .Role \"system\" }}}}{Escape(BeforeSystem)}{{{{ .Content }}}}{Escape(AfterSystem)}"
        + $"{{{{ else if eq .Role \"user\" }}}}{(Opening.Length == 0 ? "" : $"{{{{ if eq $i 0 }}}}{Escape(Opening)}{{{{ end }}}}")}{(SystemInUser ? $"{{{{ if or (ne $i 1) (ne (index $.Messages 0).Role \"system\") }}}}{Escape(BeforeUser)}{{{{ end }}}}" : Escape(BeforeUser))}{{{{ .Content }}}}{Escape(AfterUser)}"
        + $"{{{{ else if eq .Role \"assistant\" }}}}{{{{ .Content }}}}{Escape(AfterAssistant)}{{{{ end }}}}"
        + "{{ end }}";

    private string Render((string Role, string Text)[] messages) => string.Concat(messages.Select((message, index) => message.Role switch
    {
        "system" => BeforeSystem + message.Text + AfterSystem,
        "user" => (index == 0 ? Opening : "") + (SystemInUser && index == 1 && messages[0].Role == "system" ? "" : BeforeUser) + message.Text + AfterUser,
        _ => message.Text + AfterAssistant,
    }));

    private static string[]? Cut(string? text, params string[] marks)
    {
        var pieces = new List<string>();
        foreach (var mark in marks)
        {
            var at = text?.IndexOf(mark, StringComparison.Ordinal) ?? -1;
            if (at < 0) return null;
            pieces.Add(text![..at]);
            text = text[(at + mark.Length)..];
        }
        return [.. pieces, text!];
    }

    private static string CommonEnd(string a, string b)
    {
        var length = 0;
        while (length < Math.Min(a.Length, b.Length) && a[^(length + 1)] == b[^(length + 1)]) length++;
        return a[^length..];
    }

    private static string Escape(string text) => text.Replace("{{", "{{ \"{{\" }}", StringComparison.Ordinal);
}
