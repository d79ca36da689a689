using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.Formats.Families;

/// <summary>SmolLM 3: every fourth layer does without RoPE, in libllama whatever the file says.</summary>
internal sealed class SmolLm3() : ModelFamily("smollm3", "smollm3", "SmolLM3ForCausalLM")
{
    private const int Interval = 4;

    public override bool PermutesQueryAndKey => true;
    public override bool TiedByDefault => true;
    internal override DecoderLayout Layout => new();

    public override DecoderTraits Traits(GgufMetadata metadata) => new() { UnrotatedLayerInterval = Interval };

    public override void AddToConfig(JsonObject config, GgufFile model)
    {
        config["no_rope_layer_interval"] = Interval;
        var layers = Enumerable.Range(1, (int)model.Metadata.UInt32(Key("block_count")));
        config["no_rope_layers"] = new JsonArray([.. layers.Select(layer => (JsonNode)(layer % Interval == 0 ? 0 : 1))]);
        config["use_sliding_window"] = false;
    }
}
