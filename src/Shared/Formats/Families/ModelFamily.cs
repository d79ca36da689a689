using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;

namespace TokenMill.Shared.Formats.Families;

/// <summary>Which norms a layer has; their names differ, and one name means two things.</summary>
public enum LayerNorms { BeforeOnly, BeforeAndAfter, AfterOnly }

/// <summary>
/// A family of dense decoders: what its tensors are called and how they are stored in Hugging Face's layout and in GGUF,
/// how its hyperparameters go from one to the other, and how its layers compute. To add a family: a file like those
/// beside this one, and its line in <see cref="All"/>. Sources: transformers' modeling files, llama.cpp's src/models.
/// </summary>
public abstract class ModelFamily(string modelType, string architecture, string className)
{
    public static IReadOnlyList<ModelFamily> All { get; } =
    [
        new Llama(), new Mistral(), new Qwen2(), new Qwen3(), new SmolLm3(), new Gemma(), new Gemma2(), new Gemma3(), new Phi3(), new Granite(), new Olmo2(),
    ];

    /// <summary>model_type in config.json.</summary>
    public string ModelType { get; } = modelType;

    /// <summary>general.architecture in GGUF.</summary>
    public string Architecture { get; } = architecture;

    /// <summary>The entry of "architectures" in config.json.</summary>
    public string ClassName { get; } = className;

    /// <summary>Rows of q and k are interleaved per head in GGUF: half a head rotates against the other half here, pairs there.</summary>
    public virtual bool PermutesQueryAndKey => false;

    /// <summary>Norms multiply by 1 + w here; GGUF stores the sum.</summary>
    public virtual bool NormsAddOne => false;
    public virtual bool QueryKeyValueBias => false;
    public virtual QueryKeyNorm QueryKeyNorm => QueryKeyNorm.None;
    public virtual bool TiedByDefault => false;

    /// <summary>q, k and v in one matrix, gate and up in another: adapters sit on these.</summary>
    public virtual bool Fused => false;
    public virtual LayerNorms Norms => LayerNorms.BeforeOnly;

    /// <summary>The gate goes through GELU in its tanh form; else through SiLU.</summary>
    public virtual bool GateIsGelu => false;

    /// <summary>libllama has the family's sliding window, if it has one.</summary>
    public virtual bool ServesWindow => true;

    /// <summary>What llama.cpp asks of a file of this architecture.</summary>
    internal abstract DecoderLayout Layout { get; }

    /// <summary>GGUF wants the output layer, even if it is the embedding again.</summary>
    public bool HasOwnHead => Layout.OwnHead == true;

    /// <summary>How the layers of one model compute, from a file that <see cref="GgufModel.Check"/> has passed.</summary>
    public virtual DecoderTraits Traits(GgufMetadata metadata) => new();

    /// <summary>head_dim where config.json does not say it; null: hidden / heads.</summary>
    public virtual long? HeadLengthByDefault => null;

    /// <summary>Adds what GGUF needs of this family alone.</summary>
    /// <exception cref="Domain.RefusedException">config-unsupported: something that libllama would compute otherwise.</exception>
    internal virtual void AddToGguf(HuggingFaceConfig config, GgufWriter writer)
    {
    }

    /// <summary>Adds what config.json needs of this family alone.</summary>
    public virtual void AddToConfig(JsonObject config, GgufFile model)
    {
    }

    public static IEnumerable<string> ModelTypes => All.Select(f => f.ModelType);

    public static ModelFamily? ByModelType(string modelType) => All.FirstOrDefault(f => f.ModelType == modelType);

    /// <summary>The family of an architecture of GGUF: llama for "llama", which mistral models carry as well.</summary>
    public static ModelFamily? ByArchitecture(string architecture) => All.FirstOrDefault(f => f.Architecture == architecture);

    /// <summary>The family of a file. Mistral's files are called llama; one with a sliding window is Mistral's.</summary>
    public static ModelFamily? Of(GgufMetadata metadata)
    {
        var architecture = metadata.String("general.architecture");
        return ByArchitecture(architecture) is Llama && metadata.Has(Mistral.WindowKey) ? ByModelType("mistral") : ByArchitecture(architecture);
    }

    /// <summary>Name of a hyperparameter in GGUF.</summary>
    public string Key(string name) => $"{Architecture}.{name}";

    /// <summary>Modules of a layer: name here, name in GGUF.</summary>
    private IEnumerable<(string Here, string Gguf)> LayerModules()
    {
        if (Fused) yield return ("self_attn.qkv_proj", "attn_qkv");
        else
            foreach (var letter in "qkv") yield return ($"self_attn.{letter}_proj", $"attn_{letter}");
        yield return ("self_attn.o_proj", "attn_output");
        if (QueryKeyNorm != QueryKeyNorm.None)
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
                    "q_norm" => [QueryKeyNorm == QueryKeyNorm.Whole ? q : config.HeadLength],
                    "k_norm" => [QueryKeyNorm == QueryKeyNorm.Whole ? kv : config.HeadLength],
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
