using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.ChatTemplates;

/// <summary>The chat template inside a model file, with the tokens it writes.</summary>
public sealed record ModelChatTemplate(ChatTemplate Template, string? BosToken, string? EosToken)
{
    /// <exception cref="RefusedException">The model has no template (<c>no-chat-template</c>) or one that cannot be used.</exception>
    public static ModelChatTemplate Read(GgufFile model)
    {
        var metadata = model.Metadata;
        if (metadata.TryString("tokenizer.chat_template") is not { Length: > 0 } source)
            throw new RefusedException("no-chat-template", $"{Path.GetFileName(model.Path)} has no chat template, so it can complete text but not chat", "choose a model that was tuned for chat");
        if (ChatTemplateCheck.Check(source) is { } error) throw new RefusedException(error);
        var tokens = metadata.TryStrings("tokenizer.ggml.tokens");
        string? Token(string key) => metadata.TryUInt32(key) is { } id && id < tokens?.Length ? tokens[id] : null;
        return new ModelChatTemplate(ChatTemplate.Parse(source), Token("tokenizer.ggml.bos_token_id"), Token("tokenizer.ggml.eos_token_id"));
    }

    /// <inheritdoc cref="ChatTemplate.Render"/>
    public string Render(JsonArray messages, JsonArray? tools, bool addGenerationPrompt, JsonObject? extra = null, DateTimeOffset? now = null) =>
        Template.Render(messages, tools, addGenerationPrompt, BosToken, EosToken, extra, now);
}
