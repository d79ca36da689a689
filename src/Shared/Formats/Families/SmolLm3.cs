using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;

namespace TokenMill.Shared.Formats.Families;

/// <summary>SmolLM 3: every fourth layer does without RoPE, in libllama whatever the file says.</summary>
internal sealed class SmolLm3() : ModelFamily("smollm3", "smollm3", "SmolLM3ForCausalLM")
{
    private const int Interval = 4;

    public override bool PermutesQueryAndKey => true;
    public override bool TiedByDefault => true;
    internal override DecoderLayout Layout => new();

    public override DecoderTraits Traits(GgufMetadata metadata) => new() { UnrotatedLayerInterval = Interval };

    internal override void AddToGguf(HuggingFaceConfig config, GgufWriter writer)
    {
        bool Rotates(int layer) => (layer + 1) % Interval != 0;
        var usual = config.Member("no_rope_layers") is not { ValueKind: JsonValueKind.Array } list
            ? config.Number("no_rope_layer_interval") is null or Interval
            : list.EnumerateArray().Select((flag, layer) => flag.ValueKind == JsonValueKind.Number && flag.TryGetInt32(out var rotates) && (rotates != 0) == Rotates(layer)).All(same => same);
        if (!usual) throw ConfigConversion.Unsupported("no_rope_layers", "another choice of layers without RoPE than every fourth");
        if (config.IsTrue("use_sliding_window")) throw ConfigConversion.Unsupported("use_sliding_window", "a sliding window, which libllama does not have for this family,", "set it to false if rows stay within the window");
    }

    public override void AddToConfig(JsonObject config, GgufFile model)
    {
        config["no_rope_layer_interval"] = Interval;
        var layers = Enumerable.Range(1, (int)model.Metadata.UInt32(Key("block_count")));
        config["no_rope_layers"] = new JsonArray([.. layers.Select(layer => (JsonNode)(layer % Interval == 0 ? 0 : 1))]);
        config["use_sliding_window"] = false;
    }
}
