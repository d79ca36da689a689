using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;

namespace TokenMill.Shared.Formats.Families;

/// <summary>
/// Mistral: Llama with a sliding window in every layer. GGUF calls it llama, and libllama has no window there: the key
/// that keeps it is ours, so that training and export to Hugging Face still know of it.
/// </summary>
internal sealed class Mistral() : ModelFamily("mistral", "llama", "MistralForCausalLM")
{
    public const string WindowKey = "llama.attention.sliding_window";

    public override bool PermutesQueryAndKey => true;
    public override bool ServesWindow => false;
    internal override DecoderLayout Layout => ByModelType("llama")!.Layout;

    public override DecoderTraits Traits(GgufMetadata metadata) => new() { Window = (int)(metadata.TryUInt32(WindowKey) ?? 0) };

    internal override void AddToGguf(HuggingFaceConfig config, GgufWriter writer)
    {
        if (config.Whole("sliding_window") is { } window && window < config.ContextLength) writer.Add(WindowKey, (uint)window);
    }

    public override void AddToConfig(JsonObject config, GgufFile model) => config["sliding_window"] = model.Metadata.TryUInt32(WindowKey);
}
