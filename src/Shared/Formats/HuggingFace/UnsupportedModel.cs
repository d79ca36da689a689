using System.Text.Json;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>What a model of an unsupported model_type is, so far as its config.json tells.</summary>
internal static class UnsupportedModel
{
    private static readonly string[] Experts = ["num_experts", "num_local_experts", "n_routed_experts", "moe_intermediate_size"];

    private static readonly string[] Encoders = ["ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "BertModel", "RobertaModel", "ForConditionalGeneration", "ForPreTraining"];

    public static string Describe(JsonElement config, string modelType)
    {
        bool Has(string name) => config.TryGetProperty(name, out var value) && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.False);
        var classes = config.TryGetProperty("architectures", out var list) && list.ValueKind == JsonValueKind.Array ? list.EnumerateArray().Select(c => c.ToString()).ToList() : [];
        var kind = Has("vision_config") || Has("audio_config") ? "reads images or sound; only text models are supported"
            : Experts.Any(Has) || modelType.EndsWith("_moe", StringComparison.Ordinal) ? "is a mixture of experts; only dense models are supported"
            : Has("is_encoder_decoder") || classes.Exists(c => Encoders.Any(e => c.EndsWith(e, StringComparison.Ordinal))) ? "is no decoder that writes text"
            : Has("auto_map") ? "is known to the code beside the model only, which is not run"
            : "is unknown";
        return $"the model_type '{modelType}' {kind}";
    }
}
