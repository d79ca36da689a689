using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.Formats.Families;

/// <summary>
/// Gemma 3, its text model: norms before and after each half of a layer, a norm on every head of q and k, and layers with a
/// window and a RoPE base of their own, five to each that sees everything.
/// </summary>
internal sealed class Gemma3() : ModelFamily("gemma3_text", "gemma3", "Gemma3ForCausalLM")
{
    private const int LayersOf27B = 62, UsualPattern = 6;

    public override bool NormsAddOne => true;
    public override bool TiedByDefault => true;
    public override bool GateIsGelu => true;
    public override LayerNorms Norms => LayerNorms.BeforeAndAfter;
    public override QueryKeyNorm QueryKeyNorm => QueryKeyNorm.PerHead;
    internal override DecoderLayout Layout => new() { FullRotation = false, NormAfter = true, QueryKeyNorm = QueryKeyNorm.PerHead };

    public override DecoderTraits Traits(GgufMetadata metadata) => new()
    {
        EmbeddingScale = null,
        AttentionScale = 1 / MathF.Sqrt(QueryScalar(metadata)),
        LogitSoftcap = metadata.TryFloat32(Key("final_logit_softcapping")) ?? 0,
        Window = (int)(metadata.TryUInt32(Key("attention.sliding_window")) ?? 0),
        WindowPattern = (int)(metadata.TryUInt32(Key("attention.sliding_window_pattern")) ?? UsualPattern),
        WindowRopeBase = metadata.TryFloat32(Key("rope.freq_base_swa")) ?? 10000,
    };

    public override void AddToConfig(JsonObject config, GgufFile model)
    {
        var traits = Traits(model.Metadata);
        config["query_pre_attn_scalar"] = QueryScalar(model.Metadata);
        config["rope_local_base_freq"] = ConfigNumber.Real(traits.WindowRopeBase!.Value);
        config["sliding_window"] = traits.Window;
        config["sliding_window_pattern"] = traits.WindowPattern;
        config["final_logit_softcapping"] = traits.LogitSoftcap > 0 ? ConfigNumber.Real(traits.LogitSoftcap) : null;
    }

    // libllama knows the largest model, whose scale differs, by its number of layers.
    private uint QueryScalar(GgufMetadata metadata)
    {
        var (hidden, heads) = (metadata.UInt32(Key("embedding_length")), metadata.UInt32(Key("attention.head_count")));
        return metadata.UInt32(Key("block_count")) == LayersOf27B ? hidden / heads : metadata.TryUInt32(Key("attention.key_length")) ?? hidden / heads;
    }
}
