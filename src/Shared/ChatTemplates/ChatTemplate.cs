using System.Text.Json.Nodes;
using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Library;
using TokenMill.Shared.ChatTemplates.Syntax;
using TokenMill.Shared.ChatTemplates.Values;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.ChatTemplates;

/// <summary>
/// A model's chat template: Jinja2 as the transformers library sets it up (trim_blocks, lstrip_blocks, an immutable sandbox, loop controls,
/// <c>{% generation %}</c>), in an interpreter of our own with budgets. Parsed once; rendering is pure and may run on several threads at once.
/// </summary>
public sealed class ChatTemplate
{
    private readonly IReadOnlyList<Statement> _body;

    private ChatTemplate(IReadOnlyList<Statement> body) => _body = body;

    /// <exception cref="TemplateException">The template is invalid, too long or nested too deep.</exception>
    public static ChatTemplate Parse(string source) => new(Parser.Parse(source));

    /// <summary>The template of a model file with its tokens.</summary>
    /// <exception cref="Domain.RefusedException">The model has none, or one that cannot be used.</exception>
    public static ModelChatTemplate ForModel(GgufFile model) => ModelChatTemplate.Read(model);

    /// <summary>The text that the model sees for a conversation.</summary>
    /// <param name="bosToken">Text of the token; null leaves <c>bos_token</c> undefined.</param>
    /// <param name="extra">Further variables, such as <c>enable_thinking</c>.</param>
    /// <param name="now">What <c>strftime_now</c> shows; the present when left out.</param>
    /// <exception cref="TemplateException">The template refused, failed or used up its budget.</exception>
    public string Render(JsonArray messages, JsonArray? tools, bool addGenerationPrompt, string? bosToken, string? eosToken, JsonObject? extra = null, DateTimeOffset? now = null)
    {
        var budget = new Budget(JsonValues.Size(messages) + JsonValues.Size(tools) + JsonValues.Size(extra));
        var rendering = new Rendering(budget, now ?? TimeProvider.System.GetLocalNow());
        var variables = Globals.Create(rendering);
        variables["messages"] = new ListValue([.. messages.Select(m => Message(m, rendering.Comparer))]);
        variables["tools"] = JsonValues.From(tools, rendering.Comparer);
        variables["documents"] = NoneValue.Instance;
        variables["add_generation_prompt"] = BooleanValue.Of(addGenerationPrompt);
        if (bosToken is not null) variables["bos_token"] = new TextValue(bosToken);
        if (eosToken is not null) variables["eos_token"] = new TextValue(eosToken);
        foreach (var (name, value) in extra ?? []) variables[name] = JsonValues.From(value, rendering.Comparer);
        return Evaluator.Render(_body, variables, rendering);
    }

    /// <summary>Templates differ in what they call a message's reasoning, so it gets both names.</summary>
    private static Value Message(JsonNode? message, ValueComparer comparer)
    {
        var value = JsonValues.From(message, comparer);
        if (value is not MapValue map) return value;
        foreach (var name in new[] { "reasoning_content", "thinking", "reasoning" })
        {
            if (!map.TryGet(new TextValue(name), out var reasoning)) continue;
            map.Put(new TextValue("thinking"), reasoning);
            map.Put(new TextValue("reasoning_content"), reasoning);
            break;
        }
        return map;
    }
}
