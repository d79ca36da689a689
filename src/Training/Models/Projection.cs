namespace TokenMill.Training.Models;

/// <summary>
/// One linear layer by its name in a Hugging Face decoder layer and in GGUF. <paramref name="PermutedHeads"/> is the number
/// of heads whose rows GGUF keeps in another order, 0 where the orders agree.
/// </summary>
public sealed record Projection(string Module, string GgufName, int Outputs, int PermutedHeads)
{
    public string ShortName => Module[(Module.LastIndexOf('.') + 1)..];

    /// <summary>The projections whose output is queries, keys and values, in this order.</summary>
    public static IReadOnlyList<Projection> QueryKeyValue(ModelConfig config) => config.Family.Fused
        ? [new("self_attn.qkv_proj", "attn_qkv", config.QueryWidth + 2 * config.KeyWidth, 0)]
        :
        [
            new("self_attn.q_proj", "attn_q", config.QueryWidth, config.Family.PermutesQueryAndKey ? config.Heads : 0),
            new("self_attn.k_proj", "attn_k", config.KeyWidth, config.Family.PermutesQueryAndKey ? config.KeyValueHeads : 0),
            new("self_attn.v_proj", "attn_v", config.KeyWidth, 0),
        ];

    public static IReadOnlyList<Projection> GateUp(ModelConfig config) => config.Family.Fused
        ? [new("mlp.gate_up_proj", "ffn_up", 2 * config.IntermediateSize, 0)]
        : [new("mlp.gate_proj", "ffn_gate", config.IntermediateSize, 0), new("mlp.up_proj", "ffn_up", config.IntermediateSize, 0)];

    public static IReadOnlyList<Projection> AttentionOutput(ModelConfig config) => [new("self_attn.o_proj", "attn_output", config.HiddenSize, 0)];

    public static IReadOnlyList<Projection> Down(ModelConfig config) => [new("mlp.down_proj", "ffn_down", config.HiddenSize, 0)];
}
