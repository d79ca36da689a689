using System.Globalization;
using System.Text;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Formats.Families;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Training.Export;

/// <summary>The Modelfile beside a GGUF file, from which <c>ollama create NAME -f Modelfile</c> makes a model: template, stop tokens, context.</summary>
public static class OllamaModelfile
{
    private const string FileName = "Modelfile", FirstLine = "# Made by TokenMill: ollama create NAME -f Modelfile";

    /// <summary>Writes it into the folder of <paramref name="ggufPath"/>; one that somebody else made there stays.</summary>
    public static void Write(string ggufPath)
    {
        var path = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(ggufPath))!, FileName);
        if (File.Exists(path) && File.ReadLines(path).FirstOrDefault() != FirstLine) return;
        using var model = GgufFile.Open(ggufPath);
        AtomicFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(Text(model, Path.GetFileName(ggufPath)))));
    }

    public static string Text(GgufFile model, string fileName)
    {
        var metadata = model.Metadata;
        var tokens = metadata.Strings("tokenizer.ggml.tokens");
        string? Token(string name) => metadata.TryUInt32($"tokenizer.ggml.{name}_token_id") is { } id && id < tokens.Length ? tokens[id] : null;
        var chat = metadata.TryString("tokenizer.chat_template") is { Length: > 0 } ? ChatTemplate.ForModel(model) : null;
        var template = chat is null ? null : OllamaTemplate.Of(chat, metadata.TryBool("tokenizer.ggml.add_bos_token") == true ? chat.BosToken : null);

        var text = new StringBuilder().AppendLine(FirstLine).AppendLine(CultureInfo.InvariantCulture, $"FROM ./{fileName}");
        if (template is not null && !$"{template}".Contains("\"\"\"", StringComparison.Ordinal)) text.AppendLine(CultureInfo.InvariantCulture, $"TEMPLATE \"\"\"{template}\"\"\"");
        else if (chat is not null) text.AppendLine("# The chat template of this model cannot be said in Ollama's language; Ollama looks for one of its own that fits.");
        // What follows an answer in the history ends it when it is written, even where eos is another token.
        var afterAnswer = template is null ? null : tokens.Where(t => t.Length > 1).Where(t => template.AfterAssistant.TrimStart().StartsWith(t, StringComparison.Ordinal)).MaxBy(t => t.Length);
        foreach (var stop in new[] { Token("eos"), Token("eot"), Token("eom"), afterAnswer }.OfType<string>().Distinct())
            text.AppendLine(CultureInfo.InvariantCulture, $"PARAMETER stop \"{stop.Replace("\"", "\\\"", StringComparison.Ordinal)}\"");
        if (UnservedWindow.Of(metadata) is { } window) text.AppendLine(CultureInfo.InvariantCulture, $"PARAMETER num_ctx {window.Tokens}");
        return text.ToString();
    }
}
