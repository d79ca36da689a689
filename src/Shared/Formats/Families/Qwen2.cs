using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.Formats.Families;

/// <summary>Qwen 2 and 2.5: biases on q, k and v.</summary>
internal sealed class Qwen2() : ModelFamily("qwen2", "qwen2", "Qwen2ForCausalLM")
{
    public override bool QueryKeyValueBias => true;
    internal override DecoderLayout Layout => new() { FreeHeadLength = false, HeadBias = true };

    public override void AddToConfig(JsonObject config, GgufFile model) => config["use_sliding_window"] = false;
}
