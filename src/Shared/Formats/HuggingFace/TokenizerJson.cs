using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>tokenizer.json and tokenizer_config.json, rebuilt from what GGUF keeps of a tokenizer: BPE over bytes, or over characters with byte fallback.</summary>
public static class TokenizerJson
{
    private const int Unknown = 2, Control = 3, UserDefined = 4, Unused = 5;

    /// <exception cref="RefusedException">The tokenizer is of another kind, or cuts text by rules that are not known here.</exception>
    public static JsonObject Build(GgufMetadata metadata)
    {
        var sentencePiece = metadata.String("tokenizer.ggml.model") == "llama";
        var pre = sentencePiece ? null : PreTokenizerOf(metadata);
        var tokens = metadata.Strings("tokenizer.ggml.tokens");
        var types = metadata.TryInt32s("tokenizer.ggml.token_type") ?? new int[tokens.Length];
        var prefix = sentencePiece && (metadata.TryBool("tokenizer.ggml.add_space_prefix") ?? true);
        var added = new JsonArray();
        var vocabulary = new JsonObject();
        for (var id = 0; id < tokens.Length; id++)
        {
            if (types[id] == Unused) continue;                                   // placeholders that fill the embedding table
            vocabulary[tokens[id]] = id;
            if (types[id] is not (Control or UserDefined or Unknown)) continue;
            var trims = GeneralName.TrimsBehind(metadata.TryString("general.name"), tokens[id]) && types[id] == Control;
            added.Add(new JsonObject { ["id"] = id, ["content"] = tokens[id], ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = trims, ["normalized"] = false, ["special"] = types[id] != UserDefined });
        }
        return new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = added,
            ["normalizer"] = sentencePiece ? SentencePiece.Normalizer(prefix) : pre!.Composes ? new JsonObject { ["type"] = "NFC" } : null,
            ["pre_tokenizer"] = pre?.ToJson(),
            ["post_processor"] = AddsBos(metadata) && Token(metadata, tokens, "bos") is { } bos ? BosProcessor(bos, metadata.UInt32("tokenizer.ggml.bos_token_id")) : null,
            ["decoder"] = sentencePiece ? SentencePiece.Decoder(prefix) : ByteLevel(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["dropout"] = null,
                ["unk_token"] = sentencePiece ? Token(metadata, tokens, "unknown") : null,
                ["continuing_subword_prefix"] = null,
                ["end_of_word_suffix"] = null,
                ["fuse_unk"] = sentencePiece,
                ["byte_fallback"] = sentencePiece,
                ["ignore_merges"] = pre?.IgnoresMerges ?? false,
                ["vocab"] = vocabulary,
                ["merges"] = Merges(metadata, tokens, types, sentencePiece),
            },
        };
    }

    /// <summary>tokenizer_config.json with the chat template in it, where every version of transformers looks for it.</summary>
    public static JsonObject BuildConfig(GgufMetadata metadata, long contextLength)
    {
        var tokens = metadata.Strings("tokenizer.ggml.tokens");
        return new JsonObject
        {
            ["tokenizer_class"] = "PreTrainedTokenizerFast",
            ["add_prefix_space"] = false,
            ["clean_up_tokenization_spaces"] = false,
            ["model_max_length"] = contextLength,
            ["bos_token"] = Token(metadata, tokens, "bos"),
            ["eos_token"] = Token(metadata, tokens, "eos"),
            ["pad_token"] = Token(metadata, tokens, "padding"),
            ["unk_token"] = Token(metadata, tokens, "unknown"),
            ["chat_template"] = metadata.TryString("tokenizer.chat_template"),
        };
    }

    /// <summary>Ids at which an answer ends: those the file names, and markup that libllama knows by its text.</summary>
    public static IReadOnlyList<int> EndIds(GgufMetadata metadata)
    {
        var tokens = metadata.Strings("tokenizer.ggml.tokens");
        var types = metadata.TryInt32s("tokenizer.ggml.token_type") ?? [];
        var named = new[] { "eos", "eot", "eom" }.Select(name => metadata.TryUInt32($"tokenizer.ggml.{name}_token_id")).OfType<uint>().Select(id => (int)id);
        var known = Enumerable.Range(0, types.Length).Where(id => types[id] == Control && TokenizerConversion.KnownEnds.Contains(tokens[id]));
        return [.. named.Concat(known).Distinct()];
    }

    private static PreTokenizer PreTokenizerOf(GgufMetadata metadata)
    {
        var model = metadata.String("tokenizer.ggml.model");
        var name = metadata.TryString("tokenizer.ggml.pre") ?? "default";
        return model == "gpt2" && PreTokenizer.ByName(name) is { } pre ? pre : throw new RefusedException(new Error(
            "tokenizer-unsupported", $"a tokenizer of the kind {model}/{name} cannot be written as tokenizer.json", $"export as gguf, or copy tokenizer.json from the original; known are {string.Join(", ", PreTokenizer.Names)}") { Field = "tokenizer.ggml.pre" });
    }

    private static bool AddsBos(GgufMetadata metadata) =>
        metadata.TryBool("tokenizer.ggml.add_bos_token") ?? (metadata.String("tokenizer.ggml.model") == "llama" || PreTokenizerOf(metadata).AddsBos);

    private static JsonObject ByteLevel() => new() { ["type"] = "ByteLevel", ["add_prefix_space"] = true, ["trim_offsets"] = true, ["use_regex"] = true };

    // SentencePiece's files have scores; the merges are there where the file was made from a tokenizer.json.
    private static JsonArray Merges(GgufMetadata metadata, string[] tokens, int[] types, bool sentencePiece) =>
        metadata.TryStrings("tokenizer.ggml.merges") is { } merges ? new JsonArray([.. merges.Select(Merge)])
        : sentencePiece && metadata.TryFloat32s("tokenizer.ggml.scores") is { } scores
            ? new JsonArray([.. SentencePiece.Merges(tokens, types, scores).Select(m => (JsonNode)new JsonArray(m.Left, m.Right))])
        : throw new RefusedException(new Error("tokenizer-unsupported", "a tokenizer with neither merges nor scores cannot be written as tokenizer.json", "export as gguf") { Field = "tokenizer.ggml.merges" });

    private static string? Token(GgufMetadata metadata, string[] tokens, string name) =>
        metadata.TryUInt32($"tokenizer.ggml.{name}_token_id") is { } id && id < tokens.Length ? tokens[id] : null;

    // "a b" → ["a", "b"]; a merge's left part may itself begin with a space-like character, never with a space.
    private static JsonNode Merge(string merge)
    {
        var space = merge.IndexOf(' ', 1);
        return new JsonArray(merge[..space], merge[(space + 1)..]);
    }

    private static JsonObject BosProcessor(string bos, uint id)
    {
        JsonObject Special(int sequence) => new() { ["SpecialToken"] = new JsonObject { ["id"] = bos, ["type_id"] = sequence } };
        JsonObject Text(string name, int sequence) => new() { ["Sequence"] = new JsonObject { ["id"] = name, ["type_id"] = sequence } };
        return new JsonObject
        {
            ["type"] = "Sequence",
            ["processors"] = new JsonArray(
                new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = true, ["trim_offsets"] = false, ["use_regex"] = true },
                new JsonObject
                {
                    ["type"] = "TemplateProcessing",
                    ["single"] = new JsonArray(Special(0), Text("A", 0)),
                    ["pair"] = new JsonArray(Special(0), Text("A", 0), Special(1), Text("B", 1)),
                    ["special_tokens"] = new JsonObject { [bos] = new JsonObject { ["id"] = bos, ["ids"] = new JsonArray(id), ["tokens"] = new JsonArray(bos) } },
                }),
        };
    }
}
