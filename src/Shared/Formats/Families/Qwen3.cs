using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;

namespace TokenMill.Shared.Formats.Families;

/// <summary>Qwen 3: a norm on every head of q and k, heads of their own length.</summary>
internal sealed class Qwen3() : ModelFamily("qwen3", "qwen3", "Qwen3ForCausalLM")
{
    public override QueryKeyNorm QueryKeyNorm => QueryKeyNorm.PerHead;
    public override long? HeadLengthByDefault => 128;
    internal override DecoderLayout Layout => new() { QueryKeyNorm = QueryKeyNorm.PerHead, ClassifierHead = true };

    internal override void AddToGguf(HuggingFaceConfig config, GgufWriter writer)
    {
        if (config.IsTrue("use_sliding_window") && config.Number("sliding_window") < config.ContextLength && !(config.Number("max_window_layers") >= config.Layers))
            throw ConfigConversion.Unsupported("use_sliding_window", "a sliding window, which libllama does not have for this family,", "set it to false if rows stay within the window");
    }

    public override void AddToConfig(JsonObject config, GgufFile model) => config["use_sliding_window"] = false;
}
