using System.Globalization;

namespace TokenMill.Shared.Formats.Gguf;

/// <summary>The tokenizer's tables: as long as each other, every id inside, no token twice, bytes that can be spelled.</summary>
internal static class GgufVocabulary
{
    public const string Tokens = "tokenizer.ggml.tokens", Model = "tokenizer.ggml.model";
    private const int ByteType = 6;
    private const long MaxTemplateBytes = 1 << 20;
    private const string Remedy = "the tokenizer is damaged: convert the model again from the original";

    private static readonly string[] SpecialIds =
    [
        "bos", "eos", "eot", "eom", "unknown", "seperator", "padding", "mask", "cls", "fim_pre", "fim_suf", "fim_mid", "fim_pad", "fim_rep", "fim_sep", "prefix", "suffix", "middle",
    ];

    /// <summary>Names that llama.cpp v0.5.0 gives to ways of cutting text before byte pairs merge.</summary>
    private static readonly HashSet<string> PreTokenizers =
    [
        "a.x-4.0", "afmoe", "bailingmoe", "bailingmoe2", "bloom", "chameleon", "chatglm-bpe", "codeshell", "cohere2moe", "command-r", "dbrx", "deepseek-coder", "deepseek-llm",
        "deepseek-r1-qwen", "deepseek-v3", "default", "exaone", "exaone-moe", "exaone4", "f2llmv2", "falcon", "falcon-h1", "falcon3", "gemma4", "gigachat", "glm4", "gpt-2", "gpt-4o",
        "gpt3-finnish", "granite-docling", "granite-embed-multi-311m", "granite-embed-multi-97m", "grok-2", "hunyuan", "hunyuan-dense", "hy_v4", "jais", "jais-2", "jina-de", "jina-es",
        "jina-v1-en", "jina-v2-code", "jina-v2-de", "jina-v2-es", "jina-v5-nano", "joyai-llm", "kanana2", "kimi-k2", "kormo", "laguna", "lfm2", "llada-moe", "llama-bpe", "llama-v3",
        "llama3", "llama4", "megrez", "mellum", "mellum2", "midm-2.0", "minerva-7b", "minicpm5", "minimax-m2", "modern-bert", "mpt", "olmo", "phi-2", "pixtral", "poro-chat", "qwen2",
        "qwen35", "refact", "roberta-bpe", "sarvam-moe", "seed-coder", "smaug-bpe", "smollm", "solar-open", "spark2_5", "stablelm2", "starcoder", "superbpe", "talkie", "tekken",
        "tiny_aya", "trillion", "ufakzeka", "viking", "whitespace", "youtu",
    ];

    /// <summary>Tokenizers that turn any text into tokens and back; the others libllama has belong to models that are not served here.</summary>
    public static bool IsGeneral(string model) => model is "gpt2" or "llama" or "gemma4";

    public static void Check(GgufMetadata metadata)
    {
        var model = metadata.String(Model);
        if (model is "no_vocab" or "none" or "no-vocab") throw Refuse(Model, "a model without a vocabulary");
        if (model is not ("llama" or "gpt2" or "gemma4" or "bert" or "t5" or "rwkv" or "plamo2" or "hybriddna" or "whitespace"))
            throw Refuse(Model, $"the unknown tokenizer '{model}'");

        var count = metadata.Count(Tokens) ?? throw GgufFile.Refuse(Tokens, "gguf-key-missing", $"the file lacks {Tokens}", Remedy);
        if (count == 0) throw Refuse(Tokens, "no tokens");
        CheckLength(metadata, "tokenizer.ggml.scores", count);
        CheckLength(metadata, "tokenizer.ggml.token_type", count);
        foreach (var name in SpecialIds)
        {
            var key = $"tokenizer.ggml.{name}_token_id";
            if (metadata.TryUInt32(key) is { } id && id >= count) throw GgufFile.Refuse(key, "gguf-token-id", $"token {id} of {count}", Remedy);
        }
        foreach (var name in (string[])["add_bos_token", "add_eos_token", "add_sep_token", "add_space_prefix", "remove_extra_whitespaces"]) metadata.TryBool($"tokenizer.ggml.{name}");
        var pre = metadata.TryString("tokenizer.ggml.pre");
        if (model == "gpt2" && pre is { Length: > 0 } && !PreTokenizers.Contains(pre)) throw Refuse("tokenizer.ggml.pre", $"the unknown pre-tokenizer '{pre}'");
        if (metadata.TypeOf("tokenizer.ggml.suppress_tokens") is not (null or GgufValueType.Int32))
            throw GgufFile.Refuse("tokenizer.ggml.suppress_tokens", "gguf-key-type", "no list of token ids", Remedy);
        if (model is "gpt2" or "gemma4" && pre != "kimi-k2" && metadata.TryStrings("tokenizer.ggml.merges") is null)
            throw GgufFile.Refuse("tokenizer.ggml.merges", "gguf-key-missing", "a BPE tokenizer without merges", Remedy);

        // libllama asserts that a token exists which it is told to add; these pre-tokenizers have no default for it.
        if (metadata.TryUInt32("tokenizer.ggml.bos_token_id") is null && (pre is "gemma4" || model == "gemma4" || pre is "glm4" or "chatglm-bpe" && metadata.TryBool("tokenizer.ggml.add_bos_token") == true))
            throw Refuse("tokenizer.ggml.bos_token_id", "a beginning-of-sequence token is to be added, but none is named");

        if (metadata.SizeBytes("tokenizer.chat_template") is { } templateBytes and > MaxTemplateBytes)
            throw GgufFile.Refuse("tokenizer.chat_template", "template-budget", $"a chat template of {templateBytes:N0} bytes; at most {MaxTemplateBytes:N0} are read", "choose another chat template for this model");

        CheckTokens(metadata, model);
    }

    private static void CheckTokens(GgufMetadata metadata, string model)
    {
        var tokens = metadata.Strings(Tokens);
        var seen = new Dictionary<string, int>(tokens.Length);
        for (var i = 0; i < tokens.Length; i++)
        {
            var text = tokens[i].Length > 0 ? tokens[i] : $"[EMPTY_{i}]";              // libllama's own name for it
            if (!seen.TryAdd(text, i)) throw Refuse(Tokens, $"tokens {seen[text]} and {i} are the same");
        }

        var types = metadata.TryInt32s("tokenizer.ggml.token_type");
        for (var i = 0; i < types?.Length; i++)
            if (types[i] == ByteType && !IsByte(tokens[i])) throw Refuse($"tokenizer.ggml.token_type[{i}]", "a byte token that is not spelled <0xXX>");
        if (model == "llama")
            for (var b = 0; b < 256; b++)
                if (!seen.ContainsKey($"<0x{b:X2}>") && !(b < 128 && seen.ContainsKey(((char)b).ToString())))
                    throw Refuse(Model, $"a SentencePiece vocabulary without the byte token <0x{b:X2}>");
        if (metadata.TryString("general.name") is { } name && (name.Contains("phi-3", StringComparison.OrdinalIgnoreCase) || name.Contains("phi3", StringComparison.OrdinalIgnoreCase)))
            foreach (var token in (string[])["</s>", "<unk>", "<s>", "<|endoftext|>"])
                if (!seen.ContainsKey(token))
                    throw GgufFile.Refuse("general.name", "gguf-tokenizer", $"the name '{name}' makes llama.cpp demand the token {token}, which is not there", "give the model another name in general.name");
    }

    private static bool IsByte(string text) => text.Length == 6 && text.StartsWith("<0x", StringComparison.Ordinal) && text[5] == '>'
        && byte.TryParse(text.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out _);

    private static void CheckLength(GgufMetadata metadata, string key, long count)
    {
        if (!metadata.Has(key)) return;
        if (!metadata.IsArray(key) || metadata.TypeOf(key) is not (GgufValueType.Int32 or GgufValueType.Float32))
            throw GgufFile.Refuse(key, "gguf-key-type", $"{key} is no list of numbers", Remedy);
        if (key.EndsWith("token_type", StringComparison.Ordinal)) metadata.TryInt32s(key);
        if (metadata.Count(key) != count) throw Refuse(key, $"{metadata.Count(key)} values for {count} tokens");
    }

    private static Exception Refuse(string field, string what) => GgufFile.Refuse(field, "gguf-tokenizer", what, Remedy);
}
