using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.Formats.Families;

/// <summary>Qwen 3: a norm on every head of q and k, heads of their own length.</summary>
internal sealed class Qwen3() : ModelFamily("qwen3", "qwen3", "Qwen3ForCausalLM")
{
    public override QueryKeyNorm QueryKeyNorm => QueryKeyNorm.PerHead;
    internal override DecoderLayout Layout => new() { QueryKeyNorm = QueryKeyNorm.PerHead, ClassifierHead = true };

    public override void AddToConfig(JsonObject config, GgufFile model) => config["use_sliding_window"] = false;
}
