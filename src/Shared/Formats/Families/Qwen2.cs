using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;

namespace TokenMill.Shared.Formats.Families;

/// <summary>Qwen 2 and 2.5: biases on q, k and v.</summary>
internal sealed class Qwen2() : ModelFamily("qwen2", "qwen2", "Qwen2ForCausalLM")
{
    public override bool QueryKeyValueBias => true;
    internal override DecoderLayout Layout => new() { FreeHeadLength = false, HeadBias = true };

    internal override void AddToGguf(HuggingFaceConfig config, GgufWriter writer)
    {
        if (config.IsTrue("use_sliding_window") && config.Number("sliding_window") < config.ContextLength && !(config.Number("max_window_layers") >= config.Layers))
            throw ConfigConversion.Unsupported("use_sliding_window", "a sliding window, which libllama does not have for this family,", "set it to false if rows stay within the window");
    }

    public override void AddToConfig(JsonObject config, GgufFile model) => config["use_sliding_window"] = false;
}
