using TokenMill.Shared.Domain;

namespace TokenMill.Training.Models;

/// <summary>
/// How one architecture differs from the plain decoder of <see cref="CausalModel"/>. Biases and a tied head are seen from
/// the tensors themselves. To add a family: one entry in <see cref="All"/>.
/// </summary>
public sealed record ModelFamily(string Architecture)
{
    /// <summary>The converter to GGUF reorders the rows of q and k (see <see cref="RotaryOrder"/>).</summary>
    public bool PermutedQueryKey { get; init; }

    /// <summary>A norm on every query and key head before the rotation.</summary>
    public bool HeadNorm { get; init; }

    /// <summary>q, k and v are one projection, and so are gate and up: adapters sit on these.</summary>
    public bool FusedProjections { get; init; }

    /// <summary>Every n-th layer does without rotary embedding; 0 = none does.</summary>
    public int UnrotatedLayerInterval { get; init; }

    public static IReadOnlyList<ModelFamily> All { get; } =
    [
        new("llama") { PermutedQueryKey = true },              // Llama 2 and 3, Mistral, SmolLM2
        new("qwen2"),
        new("qwen3") { HeadNorm = true },
        new("smollm3") { PermutedQueryKey = true, UnrotatedLayerInterval = 4 },
        new("phi3") { FusedProjections = true },
    ];

    public static ModelFamily Find(string architecture) =>
        All.FirstOrDefault(family => family.Architecture == architecture)
        ?? throw new RefusedException("architecture-not-trainable", $"models of the architecture '{architecture}' cannot be trained", $"supported are {string.Join(", ", All.Select(family => family.Architecture))}");

    public bool Rotates(int layer) => UnrotatedLayerInterval == 0 || (layer + 1) % UnrotatedLayerInterval != 0;

    /// <summary>The projections whose output is queries, keys and values, in this order.</summary>
    public IReadOnlyList<Projection> QueryKeyValue(ModelConfig config) => FusedProjections
        ? [new("self_attn.qkv_proj", "attn_qkv", config.QueryWidth + 2 * config.KeyWidth, 0)]
        :
        [
            new("self_attn.q_proj", "attn_q", config.QueryWidth, PermutedQueryKey ? config.Heads : 0),
            new("self_attn.k_proj", "attn_k", config.KeyWidth, PermutedQueryKey ? config.KeyValueHeads : 0),
            new("self_attn.v_proj", "attn_v", config.KeyWidth, 0),
        ];

    public IReadOnlyList<Projection> GateUp(ModelConfig config) => FusedProjections
        ? [new("mlp.gate_up_proj", "ffn_up", 2 * config.IntermediateSize, 0)]
        : [new("mlp.gate_proj", "ffn_gate", config.IntermediateSize, 0), new("mlp.up_proj", "ffn_up", config.IntermediateSize, 0)];

    public IReadOnlyList<Projection> AttentionOutput(ModelConfig config) => [new("self_attn.o_proj", "attn_output", config.HiddenSize, 0)];

    public IReadOnlyList<Projection> Down(ModelConfig config) => [new("mlp.down_proj", "ffn_down", config.HiddenSize, 0)];

    /// <summary>Names that adapters may aim at.</summary>
    public IReadOnlyList<string> Targets(ModelConfig config) =>
        [.. new[] { QueryKeyValue(config), AttentionOutput(config), GateUp(config), Down(config) }.SelectMany(p => p).Select(p => p.ShortName)];
}

/// <summary>
/// One linear layer by its name in a Hugging Face decoder layer and in GGUF. <paramref name="PermutedHeads"/> is the number
/// of heads whose rows GGUF keeps in another order, 0 where the orders agree.
/// </summary>
public sealed record Projection(string Module, string GgufName, int Outputs, int PermutedHeads)
{
    public string ShortName => Module[(Module.LastIndexOf('.') + 1)..];
}
