namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>Which norms a layer has; their names differ, and one name means two things.</summary>
internal enum LayerNorms { BeforeOnly, BeforeAndAfter, AfterOnly }

/// <summary>
/// A model_type of Hugging Face's transformers that we read and write: how its tensors are called and stored there and
/// in GGUF. Source: transformers' modeling files and llama.cpp's conversion/*.py.
/// </summary>
public sealed class HuggingFaceFamily
{
    private static readonly HuggingFaceFamily[] All =
    [
        new("llama", "llama", "LlamaForCausalLM") { PermutesQueryAndKey = true },
        new("mistral", "llama", "MistralForCausalLM") { PermutesQueryAndKey = true },
        new("smollm3", "smollm3", "SmolLM3ForCausalLM") { PermutesQueryAndKey = true, TiedByDefault = true },
        new("granite", "granite", "GraniteForCausalLM") { PermutesQueryAndKey = true },
        new("qwen2", "qwen2", "Qwen2ForCausalLM") { QueryKeyValueBias = true },
        new("qwen3", "qwen3", "Qwen3ForCausalLM") { QueryKeyNorm = true },
        new("gemma", "gemma", "GemmaForCausalLM") { NormsAddOne = true, TiedByDefault = true },
        new("gemma2", "gemma2", "Gemma2ForCausalLM") { NormsAddOne = true, TiedByDefault = true, Norms = LayerNorms.BeforeAndAfter },
        new("gemma3_text", "gemma3", "Gemma3ForCausalLM") { NormsAddOne = true, TiedByDefault = true, Norms = LayerNorms.BeforeAndAfter, QueryKeyNorm = true },
        new("phi3", "phi3", "Phi3ForCausalLM") { Fused = true },
        new("olmo2", "olmo2", "Olmo2ForCausalLM") { Norms = LayerNorms.AfterOnly, QueryKeyNorm = true, NormOverAllHeads = true },
    ];

    private HuggingFaceFamily(string modelType, string architecture, string className) =>
        (ModelType, Architecture, ClassName) = (modelType, architecture, className);

    public string ModelType { get; }

    /// <summary>general.architecture in GGUF.</summary>
    public string Architecture { get; }

    /// <summary>The entry of "architectures" in config.json.</summary>
    public string ClassName { get; }

    /// <summary>Rows of q and k are interleaved per head in GGUF: half a head rotates against the other half here, pairs there.</summary>
    public bool PermutesQueryAndKey { get; private init; }

    /// <summary>Norms multiply by 1 + w here; GGUF stores the sum.</summary>
    public bool NormsAddOne { get; private init; }
    public bool QueryKeyValueBias { get; private init; }
    public bool QueryKeyNorm { get; private init; }
    public bool NormOverAllHeads { get; private init; }
    public bool TiedByDefault { get; private init; }

    /// <summary>q, k and v in one matrix, gate and up in another.</summary>
    public bool Fused { get; private init; }
    internal LayerNorms Norms { get; private init; }

    public static IEnumerable<string> ModelTypes => All.Select(f => f.ModelType);

    public static HuggingFaceFamily? ByModelType(string modelType) => All.FirstOrDefault(f => f.ModelType == modelType);

    /// <summary>The family an architecture of GGUF is exported as: llama for "llama", which mistral models carry as well.</summary>
    public static HuggingFaceFamily? ByArchitecture(string architecture) => All.FirstOrDefault(f => f.Architecture == architecture);

    /// <summary>Modules of a layer: name here, name in GGUF.</summary>
    private IEnumerable<(string Here, string Gguf)> LayerModules()
    {
        if (Fused) yield return ("self_attn.qkv_proj", "attn_qkv");
        else
            foreach (var letter in "qkv") yield return ($"self_attn.{letter}_proj", $"attn_{letter}");
        yield return ("self_attn.o_proj", "attn_output");
        if (QueryKeyNorm)
            foreach (var letter in "qk") yield return ($"self_attn.{letter}_norm", $"attn_{letter}_norm");
        if (Fused) yield return ("mlp.gate_up_proj", "ffn_up");
        else
        {
            yield return ("mlp.gate_proj", "ffn_gate");
            yield return ("mlp.up_proj", "ffn_up");
        }
        yield return ("mlp.down_proj", "ffn_down");
        if (Norms != LayerNorms.AfterOnly) yield return ("input_layernorm", "attn_norm");
        yield return ("post_attention_layernorm", Norms == LayerNorms.BeforeOnly ? "ffn_norm" : "post_attention_norm");
        if (Norms == LayerNorms.BeforeAndAfter) yield return ("pre_feedforward_layernorm", "ffn_norm");
        if (Norms != LayerNorms.BeforeOnly) yield return ("post_feedforward_layernorm", "post_ffw_norm");
    }

    private static readonly (string Here, string Gguf)[] Ends = [("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("lm_head", "output")];

    /// <summary>Name in GGUF of a module or tensor (with or without .weight or .bias); null if the family has none of that name.</summary>
    public string? ToGguf(string name)
    {
        var (module, suffix) = SplitSuffix(name);
        if (Ends.FirstOrDefault(e => e.Here == module) is { Gguf: { } end }) return end + suffix;
        if (!module.StartsWith("model.layers.", StringComparison.Ordinal)) return null;
        var rest = module["model.layers.".Length..];
        var dot = rest.IndexOf('.', StringComparison.Ordinal);
        return dot > 0 && IsNumber(rest[..dot]) && LayerModules().FirstOrDefault(m => m.Here == rest[(dot + 1)..]) is { Gguf: { } gguf } ? $"blk.{rest[..dot]}.{gguf}{suffix}" : null;
    }

    /// <summary>The way back from <see cref="ToGguf"/>.</summary>
    public string? FromGguf(string name)
    {
        var (module, suffix) = SplitSuffix(name);
        if (Ends.FirstOrDefault(e => e.Gguf == module) is { Here: { } end }) return end + suffix;
        var parts = module.Split('.', 3);
        return parts is ["blk", var block, var inner] && IsNumber(block) && LayerModules().FirstOrDefault(m => m.Gguf == inner) is { Here: { } here } ? $"model.layers.{block}.{here}{suffix}" : null;
    }

    /// <summary>Linear modules of a layer, by the last part of their names: what LoRA can sit on.</summary>
    public IEnumerable<string> LinearModules() =>
        LayerModules().Select(m => m.Here).Where(m => m.EndsWith("_proj", StringComparison.Ordinal)).Select(m => m[(m.IndexOf('.', StringComparison.Ordinal) + 1)..]);

    /// <summary>Tensors of a whole model with their shapes (torch order).</summary>
    public IEnumerable<(string Name, long[] Shape)> Tensors(HuggingFaceConfig config)
    {
        var (hidden, q, kv) = (config.HiddenSize, config.Heads * config.HeadLength, config.KeyValueHeads * config.HeadLength);
        yield return ("model.embed_tokens.weight", [config.VocabularySize, hidden]);
        for (var layer = 0; layer < config.Layers; layer++)
            foreach (var (module, _) in LayerModules())
            {
                long[] shape = module[(module.LastIndexOf('.') + 1)..] switch
                {
                    "q_proj" => [q, hidden],
                    "k_proj" or "v_proj" => [kv, hidden],
                    "qkv_proj" => [q + 2 * kv, hidden],
                    "o_proj" => [hidden, q],
                    "gate_proj" or "up_proj" => [config.IntermediateSize, hidden],
                    "gate_up_proj" => [2 * config.IntermediateSize, hidden],
                    "down_proj" => [hidden, config.IntermediateSize],
                    "q_norm" => [NormOverAllHeads ? q : config.HeadLength],
                    "k_norm" => [NormOverAllHeads ? kv : config.HeadLength],
                    _ => [hidden],
                };
                yield return ($"model.layers.{layer}.{module}.weight", shape);
                var attention = module.StartsWith("self_attn", StringComparison.Ordinal);
                var input = module is "self_attn.q_proj" or "self_attn.k_proj" or "self_attn.v_proj";
                if (shape.Length == 2 && (input && QueryKeyValueBias || attention && config.AttentionBias && !QueryKeyValueBias || !attention && config.FeedForwardBias))
                    yield return ($"model.layers.{layer}.{module}.bias", [shape[0]]);
            }
        yield return ("model.norm.weight", [hidden]);
        if (!config.TiedEmbeddings) yield return ("lm_head.weight", [config.VocabularySize, hidden]);
    }

    private static (string Module, string Suffix) SplitSuffix(string name) =>
        name.EndsWith(".weight", StringComparison.Ordinal) ? (name[..^7], ".weight") : name.EndsWith(".bias", StringComparison.Ordinal) ? (name[..^5], ".bias") : (name, "");

    private static bool IsNumber(string text) => text.Length is > 0 and < 10 && text.All(char.IsAsciiDigit);
}
