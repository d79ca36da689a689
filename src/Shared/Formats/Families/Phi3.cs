using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;

namespace TokenMill.Shared.Formats.Families;

/// <summary>Phi 3 and 4: fused projections, LongRoPE, a window in every layer (which libllama leaves out), a rotation of part of each head.</summary>
internal sealed class Phi3() : ModelFamily("phi3", "phi3", "Phi3ForCausalLM")
{
    public override bool Fused => true;
    public override bool ServesWindow => false;
    internal override DecoderLayout Layout => new() { FreeHeadLength = false, FullRotation = false, FusedGateUp = true, LongRopeFactors = true };

    public override DecoderTraits Traits(GgufMetadata metadata) => new() { Window = (int)(metadata.TryUInt32(Key("attention.sliding_window")) ?? 0) };

    internal override void AddToGguf(HuggingFaceConfig config, GgufWriter writer)
    {
        writer.Add(Key("rope.scaling.original_context_length"), (uint)(config.Whole("original_max_position_embeddings") ?? config.ContextLength));
        // Without this key libllama goes by the context length, and so would a window be guessed that is not there.
        writer.Add(Key("attention.sliding_window"), (uint)(config.Whole("sliding_window") ?? 0));
    }

    public override void AddToConfig(JsonObject config, GgufFile model)
    {
        var metadata = model.Metadata;
        config["sliding_window"] = metadata.TryUInt32(Key("attention.sliding_window")) is > 0 and var window ? window : null;
        config["original_max_position_embeddings"] = metadata.TryUInt32(Key("rope.scaling.original_context_length")) ?? metadata.UInt32(Key("context_length"));
        var head = metadata.UInt32(Key("embedding_length")) / metadata.UInt32(Key("attention.head_count"));
        if (metadata.TryUInt32(Key("rope.dimension_count")) is { } rotated && rotated != head) config["partial_rotary_factor"] = ConfigNumber.Real((float)rotated / head);
    }
}
