using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.Formats.Families;

/// <summary>Llama 2 and 3, SmolLM2 and everything else that is built like them.</summary>
internal sealed class Llama() : ModelFamily("llama", "llama", "LlamaForCausalLM")
{
    public override bool PermutesQueryAndKey => true;
    internal override DecoderLayout Layout => new() { Biases = true, Experts = ExpertUse.Possible, RopeFactors = true, LongRopeFactors = true };

    public override void AddToConfig(JsonObject config, GgufFile model) => config["mlp_bias"] = model.Find("blk.0.ffn_up.bias") is not null;
}
