using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.Formats.Families;

/// <summary>OLMo 2: norms only after each half of a layer, and one over all heads of q and of k.</summary>
internal sealed class Olmo2() : ModelFamily("olmo2", "olmo2", "Olmo2ForCausalLM")
{
    public override QueryKeyNorm QueryKeyNorm => QueryKeyNorm.Whole;
    public override LayerNorms Norms => LayerNorms.AfterOnly;
    internal override DecoderLayout Layout => new() { FreeHeadLength = false, NormBefore = false, NormAfter = true, QueryKeyNorm = QueryKeyNorm.Whole, OwnHead = true };
}
