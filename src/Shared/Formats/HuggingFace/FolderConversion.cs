using System.Text.Json;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>Everything of a Hugging Face folder but its weights as GGUF: name and licence, hyperparameters, tokenizer, chat template.</summary>
public static class FolderConversion
{
    private const int MaxTokenizerBytes = 64 << 20, MaxConfigBytes = 8 << 20;

    /// <returns>What was given up on the way.</returns>
    /// <exception cref="RefusedException">Something that GGUF, or libllama, has no word for.</exception>
    public static IReadOnlyList<ModelFinding> WriteMetadata(HuggingFaceFolder folder, GgufWriter writer)
    {
        var warnings = new List<ModelFinding>(folder.Warnings);
        var config = folder.Config;
        var tokenizer = new TokenizerDefinition(
            ReadJson(folder.Path, HuggingFaceTokenizer.FileName, "tokenizer-invalid", MaxTokenizerBytes) ?? throw new InvalidOperationException("the folder was opened with its tokenizer"),
            ReadJson(folder.Path, "tokenizer_config.json", "config-invalid", MaxConfigBytes) ?? default);
        writer.Add("general.architecture", config.Family.Architecture);
        writer.Add("general.type", "model");
        writer.Add("general.name", GeneralName.Of(Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder.Path))), tokenizer));
        if (folder.Licence is { } licence) writer.Add("general.license", licence);
        ConfigConversion.Write(config, writer);
        TokenizerConversion.Write(tokenizer, (int)config.VocabularySize, EndIds(folder), config.TokenId, writer, warnings);
        if (!string.IsNullOrEmpty(folder.ChatTemplate)) writer.Add("tokenizer.chat_template", folder.ChatTemplate);
        if (config.RopeScalingType is "longrope" or "su")
            warnings.Add(new ModelFinding("rope_scaling", "longrope-by-context", "llama.cpp takes the factors of LongRoPE by the length of the context it is started with, training by the length of each row: serve short conversations with a context no longer than the original one"));
        return warnings;
    }

    // generation_config.json knows all ids at which an answer ends, config.json often the first only.
    private static List<int> EndIds(HuggingFaceFolder folder)
    {
        var generation = ReadJson(folder.Path, "generation_config.json", "config-invalid", MaxConfigBytes);
        return [.. new[] { generation, folder.Config.Json }.OfType<JsonElement>()
            .Select(json => TokenizerDefinition.Member(json, "eos_token_id"))
            .OfType<JsonElement>()
            .SelectMany(value => value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().ToList() : [value])
            .Select(value => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var id) && id >= 0 ? id : -1)
            .Where(id => id >= 0)
            .Distinct()];
    }

    private static JsonElement? ReadJson(string folder, string name, string code, int maxBytes)
    {
        var path = Path.Combine(folder, name);
        return File.Exists(path) ? JsonFile.Read(path, code, maxBytes, "fetch the file again") : null;
    }
}
