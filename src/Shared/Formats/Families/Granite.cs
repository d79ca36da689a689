using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;

namespace TokenMill.Shared.Formats.Families;

/// <summary>Granite 3: Llama with multipliers on embeddings, scores, what layers add, and logits.</summary>
internal sealed class Granite() : ModelFamily("granite", "granite", "GraniteForCausalLM")
{
    public override bool PermutesQueryAndKey => true;
    internal override DecoderLayout Layout => ByModelType("llama")!.Layout with { RequiredNumbers = ["logit_scale"] };

    public override DecoderTraits Traits(GgufMetadata metadata) => new()
    {
        EmbeddingScale = metadata.TryFloat32(Key("embedding_scale")) ?? 1,
        ResidualScale = metadata.TryFloat32(Key("residual_scale")) ?? 1,
        AttentionScale = metadata.TryFloat32(Key("attention.scale")),
        LogitScale = 1 / metadata.Float32(Key("logit_scale")),
    };

    internal override void AddToGguf(HuggingFaceConfig config, GgufWriter writer)
    {
        writer.Add(Key("embedding_scale"), (float)(config.Number("embedding_multiplier") ?? 1));
        writer.Add(Key("residual_scale"), (float)(config.Number("residual_multiplier") ?? 1));
        writer.Add(Key("attention.scale"), (float)(config.Number("attention_multiplier") ?? 1));
        writer.Add(Key("logit_scale"), (float)(config.Number("logits_scaling") ?? 1));
    }

    public override void AddToConfig(JsonObject config, GgufFile model)
    {
        var metadata = model.Metadata;
        config["logits_scaling"] = ConfigNumber.Real(metadata.Float32(Key("logit_scale")));
        config["residual_multiplier"] = ConfigNumber.Real(metadata.TryFloat32(Key("residual_scale")) ?? 1f);
        config["embedding_multiplier"] = ConfigNumber.Real(metadata.TryFloat32(Key("embedding_scale")) ?? 1f);
        config["attention_multiplier"] = ConfigNumber.Real(metadata.TryFloat32(Key("attention.scale")) ?? 1f / MathF.Sqrt((float)config["head_dim"]!));
    }
}
