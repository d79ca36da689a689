using System.Text.Json.Nodes;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Llama;

namespace TokenMill.Recipe;

/// <summary>
/// Rows as token ids. A conversation is what the chat template writes, a text ends with the end-of-text token. Every token is
/// learned, the user's turns too: a model this small learns its English from them.
/// </summary>
public sealed class TokenRows(LlamaVocabulary vocabulary, ModelChatTemplate template)
{
    /// <param name="modelPath">A tokenizer, or a model with one.</param>
    public static TokenRows Of(LlamaVocabulary vocabulary, string modelPath)
    {
        using var file = GgufFile.Open(modelPath);
        return new TokenRows(vocabulary, ModelChatTemplate.Read(file));
    }

    public int[] Encode(Row row) => row.Messages is { } messages
        ? vocabulary.Tokenize(template.Render(Messages(messages), null, addGenerationPrompt: false))
        : [.. vocabulary.Tokenize(row.Text!, parseSpecial: false), vocabulary.Bos];

    /// <summary>A row of the trainer's format "tokens".</summary>
    public string ToJson(Row row)
    {
        var ids = string.Join(',', Encode(row));
        return $"{{\"ids\":[{ids}],\"labels\":[{ids}]}}";
    }

    private static JsonArray Messages(IReadOnlyList<Turn> turns) =>
        new([.. turns.Select(t => new JsonObject { ["role"] = t.Role, ["content"] = t.Content })]);
}
