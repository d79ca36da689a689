using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;

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
    public override long? HeadLengthByDefault => 256;
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

    internal override void AddToGguf(HuggingFaceConfig config, GgufWriter writer)
    {
        var pattern = Pattern(config);
        var windowBase = config.Member("rope_parameters") is { ValueKind: JsonValueKind.Object } kinds && kinds.TryGetProperty("sliding_attention", out var own)
            ? config.Number(own, "rope_theta") : config.Number("rope_local_base_freq");
        writer.Add(Key("attention.sliding_window"), (uint)(config.Whole("sliding_window") ?? 4096));
        if (pattern != UsualPattern) writer.Add(Key("attention.sliding_window_pattern"), (uint)pattern);
        writer.Add(Key("rope.freq_base_swa"), (float)(windowBase ?? 10000));
        if (config.Number("final_logit_softcapping") is { } cap) writer.Add(Key("final_logit_softcapping"), (float)cap);
        if (config.Number("attn_logit_softcapping") is not null) throw ConfigConversion.Unsupported("attn_logit_softcapping", "a cap on scores in a Gemma 3 model");
        CheckQueryScalar(config, LayersOf27B);
        CheckLayerTypes(config, pattern);
    }

    private static int Pattern(HuggingFaceConfig config)
    {
        if (config.Whole("sliding_window_pattern") is { } said) return (int)said;
        var firstFull = config.Member("layer_types") is { ValueKind: JsonValueKind.Array } types ? types.EnumerateArray().TakeWhile(t => t.ToString() == "sliding_attention").Count() : UsualPattern - 1;
        return firstFull < config.Layers ? firstFull + 1 : UsualPattern;
    }

    /// <summary>libllama takes the scale of scores from the shape, not from the file.</summary>
    internal static void CheckQueryScalar(HuggingFaceConfig config, int layersOf27B)
    {
        var taken = config.Layers == layersOf27B ? config.HiddenSize / config.Heads : config.HeadLength;
        if ((config.Number("query_pre_attn_scalar") ?? 256) is var scalar && scalar != taken)
            throw ConfigConversion.Unsupported("query_pre_attn_scalar", $"{scalar} where llama.cpp takes {taken},", "only the published shapes are supported");
    }

    /// <summary>Every n-th layer sees everything, all others a window.</summary>
    internal static void CheckLayerTypes(HuggingFaceConfig config, int pattern)
    {
        if (config.Member("layer_types") is not { ValueKind: JsonValueKind.Array } types) return;
        if (types.EnumerateArray().Select((type, layer) => type.ToString() == ((layer + 1) % pattern == 0 ? "full_attention" : "sliding_attention")).Contains(false))
            throw ConfigConversion.Unsupported("layer_types", $"another order of layers with and without a window than every {pattern}th without");
    }

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
