using System.Text.Json;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>
/// What tokenizer.json and its neighbours say: how many ids there are (the highest and one), how many of those text is made of
/// (added tokens left out, of which some models have more than embeddings), and the chat template.
/// </summary>
internal sealed record HuggingFaceTokenizer(int Vocabulary, int TextVocabulary, string? ChatTemplate)
{
    public const string FileName = "tokenizer.json";
    private const string TemplateName = "chat_template.jinja", ConfigName = "tokenizer_config.json";
    private const int MaxTokenizerBytes = 64 << 20, MaxConfigBytes = 8 << 20, MaxTemplateBytes = 1 << 20, MaxId = 1 << 24;

    /// <exception cref="RefusedException">tokenizer-missing, tokenizer-invalid, config-invalid, template-budget.</exception>
    public static HuggingFaceTokenizer Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) throw new RefusedException(new Error("tokenizer-missing", "no tokenizer.json in the folder", "fetch tokenizer.json") { Field = FileName });
        var (vocabulary, text) = CountTokens(JsonFile.Read(path, "tokenizer-invalid", MaxTokenizerBytes, "fetch tokenizer.json again"));
        return new HuggingFaceTokenizer(vocabulary, text, ReadTemplate(folder));
    }

    private static (int All, int Text) CountTokens(JsonElement tokenizer)
    {
        if (Member(tokenizer, "model") is not { } model || Member(model, "vocab") is not { } vocabulary) throw Invalid("has no model with a vocabulary");
        var highest = vocabulary.ValueKind switch
        {
            JsonValueKind.Object => vocabulary.EnumerateObject().Select(token => Id(token.Value)).DefaultIfEmpty(-1).Max(),
            JsonValueKind.Array => vocabulary.GetArrayLength() - 1,
            _ => -1,
        };
        var text = highest;
        if (Member(tokenizer, "added_tokens") is { ValueKind: JsonValueKind.Array } added)
            foreach (var token in added.EnumerateArray()) highest = Math.Max(highest, Id(Member(token, "id") ?? default));
        return highest is >= 0 and < MaxId ? ((int)highest + 1, (int)text + 1) : throw Invalid("has no tokens, or impossible ids");
    }

    private static string? ReadTemplate(string folder)
    {
        var path = Path.Combine(folder, TemplateName);
        if (File.Exists(path))
            return new FileInfo(path).Length <= MaxTemplateBytes ? File.ReadAllText(path)
                : throw new RefusedException(new Error("template-budget", $"{TemplateName} has more than {MaxTemplateBytes:N0} bytes", "choose another chat template for this model") { Field = TemplateName });
        path = Path.Combine(folder, ConfigName);
        if (!File.Exists(path)) return null;
        var template = Member(JsonFile.Read(path, "config-invalid", MaxConfigBytes, "fetch the file again"), "chat_template");
        // Several named templates: the one called default is for chat.
        if (template is { ValueKind: JsonValueKind.Array } named)
            template = named.EnumerateArray().Where(t => Member(t, "name") is { ValueKind: JsonValueKind.String } name && name.ValueEquals("default")).Select(t => Member(t, "template")).FirstOrDefault();
        return template is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;
    }

    private static JsonElement? Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) ? value : null;

    private static long Id(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var id) && id >= 0 ? id : throw Invalid("has a token without a proper id");

    private static RefusedException Invalid(string what) => new(new Error("tokenizer-invalid", $"{FileName} {what}", "fetch tokenizer.json again") { Field = FileName });
}
