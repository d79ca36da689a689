using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.Formats.Families;

/// <summary>Gemma: norms of 1 + w, embeddings times √hidden, GELU.</summary>
internal sealed class Gemma() : ModelFamily("gemma", "gemma", "GemmaForCausalLM")
{
    public override bool NormsAddOne => true;
    public override bool TiedByDefault => true;
    public override bool GateIsGelu => true;
    public override long? HeadLengthByDefault => 256;
    internal override DecoderLayout Layout => new() { FullRotation = false, OwnHead = false };

    public override DecoderTraits Traits(GgufMetadata metadata) => new() { EmbeddingScale = null };
}
