using TokenMill.Shared.Formats.Families;

namespace TokenMill.Shared.Formats.Gguf;

/// <summary>Where q and k are normalised: not at all, per head, or over all heads at once.</summary>
public enum QueryKeyNorm { None, PerHead, Whole }

internal enum ExpertUse { None, Possible, Always }

/// <summary>
/// Tensors of a decoder-only transformer, so far as they differ between architectures. Names and shapes follow from it
/// (<see cref="GgufTensorPlan"/>). Source: src/models/*.cpp of llama.cpp v0.5.0.
/// </summary>
internal sealed record DecoderLayout
{
    /// <summary>Heads may be longer or shorter than embedding length / heads.</summary>
    public bool FreeHeadLength { get; init; } = true;

    /// <summary>The whole head is rotated (libllama asserts it), so rope.dimension_count equals the head length.</summary>
    public bool FullRotation { get; init; } = true;
    public QueryKeyNorm QueryKeyNorm { get; init; }
    public bool NormBefore { get; init; } = true;
    public bool NormAfter { get; init; }

    /// <summary>ffn_up holds gate and up, one behind the other.</summary>
    public bool FusedGateUp { get; init; }

    /// <summary>Attention output and feed-forward may have biases.</summary>
    public bool Biases { get; init; }

    /// <summary>Experts replace the feed-forward where expert_count is above zero.</summary>
    public ExpertUse Experts { get; init; }

    /// <summary>rope_freqs: a factor for each pair of dimensions (Llama 3).</summary>
    public bool RopeFactors { get; init; }

    /// <summary>rope_factors_long and _short (LongRoPE).</summary>
    public bool LongRopeFactors { get; init; }
    public bool HeadBias { get; init; }
    public bool ClassifierHead { get; init; }

    /// <summary>Numbers that libllama does not load without, beyond those of every architecture.</summary>
    public IReadOnlyList<string> RequiredNumbers { get; init; } = [];

    /// <summary>null: tied or own, as the file has it.</summary>
    public bool? OwnHead { get; init; }
}

/// <summary>What is known of an architecture by its name in general.architecture.</summary>
internal sealed record GgufArchitecture(string Name, GgufArchitecture.Use Purpose, DecoderLayout? Layout)
{
    public enum Use { Text, Embedding, Other }

    // What is trained is a family; the others are served only.
    private static readonly Dictionary<string, DecoderLayout> Layouts = new(ModelFamily.All.DistinctBy(f => f.Architecture).Select(f => KeyValuePair.Create(f.Architecture, f.Layout)))
    {
        ["mistral3"] = ModelFamily.ByArchitecture("llama")!.Layout,
        ["qwen3moe"] = new() { QueryKeyNorm = QueryKeyNorm.PerHead, Experts = ExpertUse.Always },
    };

    // They read text and write none: what they give are vectors.
    private static readonly HashSet<string> Embedding =
    [
        "bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3", "eurobert", "gemma-embedding", "llama-embed",
    ];

    // Known to libllama, but neither of the two: text from text in two halves, drafts of another model, sound, vision.
    private static readonly HashSet<string> OtherPurpose =
    [
        "clip", "t5", "t5encoder", "wavtokenizer-dec", "qwen3tts", "pockettts", "gemma4-assistant", "eagle3", "dflash", "dream", "llada", "llada-moe", "rnd1",
    ];

    private static readonly HashSet<string> Text =
    [
        "llama4", "deci", "falcon", "grok", "gpt2", "gptj", "gptneox", "mpt", "baichuan", "starcoder", "refact", "bloom", "stablelm", "qwen", "qwen2moe", "qwen2vl",
        "qwen3next", "qwen3vl", "qwen3vlmoe", "qwen35", "qwen35moe", "qwen4exp", "phi2", "phimoe", "plamo", "plamo2", "plamo3", "codeshell", "orion", "internlm2",
        "minicpm", "minicpm3", "gemma3n", "gemma4", "starcoder2", "mamba", "mamba2", "maple", "jamba", "falcon-h1", "xverse", "command-r", "cohere2", "cohere2moe",
        "dbrx", "olmo", "olmoe", "muse-glimmer", "openelm", "arctic", "deepseek", "deepseek2", "deepseek2-ocr", "deepseek32", "deepseek4", "chatglm", "glm4", "glm4moe",
        "glm-dsa", "bitnet", "jais", "jais2", "nemotron", "nemotron_h", "nemotron_h_moe", "exaone", "exaone4", "exaone-moe", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7",
        "granitemoe", "granitehybrid", "graniteswitch", "granite_swa", "chameleon", "plm", "bailingmoe", "bailingmoe2", "bailingmoe3", "dots1", "dots3note", "arcee",
        "afmoe", "laguna", "ernie4_5", "ernie4_5-moe", "hunyuan-moe", "hunyuan-dense", "hunyuan_vl", "hy_v3", "hy_v4", "gpt-oss", "lfm2", "lfm2moe", "smallthinker",
        "seed_oss", "grovemoe", "apertus", "minimax-01", "hrm_text", "minimax-m2", "minimax-m3", "cogvlm", "pangu-embedded", "mistral4", "paddleocr", "mimo2", "step35",
        "spark2_5", "maincoder", "kimi-linear", "kimi-k3", "talkie", "mellum", "nanbeige",
    ];

    /// <summary>null for a name that neither libllama nor we know.</summary>
    public static GgufArchitecture? Find(string name) =>
        Layouts.TryGetValue(name, out var layout) ? new(name, Use.Text, layout)
        : Text.Contains(name) ? new(name, Use.Text, null)
        : Embedding.Contains(name) ? new(name, Use.Embedding, null)
        : OtherPurpose.Contains(name) ? new(name, Use.Other, null)
        : null;
}
