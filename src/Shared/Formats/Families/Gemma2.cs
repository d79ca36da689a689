using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;

namespace TokenMill.Shared.Formats.Families;

/// <summary>Gemma 2: norms before and after each half of a layer, capped scores and logits, a window in every second layer.</summary>
internal sealed class Gemma2() : ModelFamily("gemma2", "gemma2", "Gemma2ForCausalLM")
{
    private const int LayersOf27B = 46;

    public override bool NormsAddOne => true;
    public override bool TiedByDefault => true;
    public override bool GateIsGelu => true;
    public override LayerNorms Norms => LayerNorms.BeforeAndAfter;
    public override long? HeadLengthByDefault => 256;
    internal override DecoderLayout Layout => new() { FullRotation = false, OwnHead = false, NormAfter = true };

    public override DecoderTraits Traits(GgufMetadata metadata) => new()
    {
        EmbeddingScale = null,
        AttentionScale = 1 / MathF.Sqrt(QueryScalar(metadata)),
        AttentionSoftcap = metadata.TryFloat32(Key("attn_logit_softcapping")) ?? 50,
        LogitSoftcap = metadata.TryFloat32(Key("final_logit_softcapping")) ?? 30,
        Window = (int)(metadata.TryUInt32(Key("attention.sliding_window")) ?? 4096),
        WindowPattern = 2,
    };

    internal override void AddToGguf(HuggingFaceConfig config, GgufWriter writer)
    {
        writer.Add(Key("attn_logit_softcapping"), (float)Cap(config, "attn_logit_softcapping"));
        writer.Add(Key("final_logit_softcapping"), (float)Cap(config, "final_logit_softcapping"));
        writer.Add(Key("attention.sliding_window"), (uint)(config.Whole("sliding_window") ?? 4096));
        Gemma3.CheckQueryScalar(config, LayersOf27B);
        Gemma3.CheckLayerTypes(config, 2);
    }

    private static double Cap(HuggingFaceConfig config, string name) =>
        config.Number(name) is { } cap and > 0 ? cap : throw ConfigConversion.Unsupported(name, "a Gemma 2 model without it");

    public override void AddToConfig(JsonObject config, GgufFile model)
    {
        var traits = Traits(model.Metadata);
        config["query_pre_attn_scalar"] = QueryScalar(model.Metadata);
        config["attn_logit_softcapping"] = ConfigNumber.Real(traits.AttentionSoftcap);
        config["final_logit_softcapping"] = ConfigNumber.Real(traits.LogitSoftcap);
        config["sliding_window"] = traits.Window;
    }

    // libllama knows the largest model, whose scale differs, by its number of layers.
    private uint QueryScalar(GgufMetadata metadata)
    {
        var (hidden, heads) = (metadata.UInt32(Key("embedding_length")), metadata.UInt32(Key("attention.head_count")));
        return metadata.UInt32(Key("block_count")) == LayersOf27B ? hidden / heads : metadata.TryUInt32(Key("attention.key_length")) ?? hidden / heads;
    }
}
