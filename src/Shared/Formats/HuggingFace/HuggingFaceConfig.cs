using System.Text.Json;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Families;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>
/// config.json of a text model, both spellings of RoPE understood (rope_theta with rope_scaling, or rope_parameters).
/// </summary>
public sealed record HuggingFaceConfig
{
    private const string Contradiction = "the model contradicts itself: convert it again from the original";
    private const long MaxWidth = 1 << 20;

    public required ModelFamily Family { get; init; }
    public required long VocabularySize { get; init; }
    public required long HiddenSize { get; init; }
    public required long IntermediateSize { get; init; }
    public required long Layers { get; init; }
    public required long Heads { get; init; }
    public required long KeyValueHeads { get; init; }
    public required long HeadLength { get; init; }
    public required long ContextLength { get; init; }
    public required double Epsilon { get; init; }
    public required double RopeTheta { get; init; }

    /// <summary>rope_scaling, or rope_parameters where they say more than the default.</summary>
    public JsonElement? RopeScaling { get; init; }
    public required bool TiedEmbeddings { get; init; }
    public required bool AttentionBias { get; init; }
    public required bool FeedForwardBias { get; init; }

    /// <summary>The whole file, for what only one family has.</summary>
    public required JsonElement Json { get; init; }

    /// <exception cref="RefusedException">config-invalid, config-value, architecture-unknown.</exception>
    public static HuggingFaceConfig Parse(JsonElement json)
    {
        if (json.ValueKind != JsonValueKind.Object) throw Refuse("config.json", "config-invalid", "config.json is no object");
        var modelType = Present(json, "model_type") is { ValueKind: JsonValueKind.String } type ? type.GetString()! : "";
        var family = ModelFamily.ByModelType(modelType) ?? throw Refuse("model_type", "architecture-unknown", UnsupportedModel.Describe(json, modelType), $"supported are {string.Join(", ", ModelFamily.ModelTypes)}");
        if (Present(json, "quantization_config") is { } quantized)
            throw Refuse("quantization_config", "config-unsupported", $"the weights are quantised by {(Present(quantized, "quant_method") is { } method ? Short(method) : "another program")}", "take the model's original in F32, F16 or BF16");

        var hidden = Number(json, "hidden_size", MaxWidth);
        var heads = Number(json, "num_attention_heads", MaxWidth);
        var keyValueHeads = Number(json, "num_key_value_heads", MaxWidth, heads);
        if (heads % keyValueHeads != 0)
            throw Refuse("num_key_value_heads", "config-value", $"{keyValueHeads} key-value heads for {heads} heads, which is no whole share");
        var head = Number(json, "head_dim", MaxWidth, family.HeadLengthByDefault ?? hidden / heads);
        if (head % 2 != 0 || !json.TryGetProperty("head_dim", out var own) && hidden % heads != 0 || own.ValueKind == JsonValueKind.Null && hidden % heads != 0)
            throw Refuse("num_attention_heads", "config-value", $"{heads} heads do not divide {hidden} into even parts");
        var (theta, scaling) = Rope(json);
        return new HuggingFaceConfig
        {
            Family = family,
            VocabularySize = Number(json, "vocab_size", 1 << 24),
            HiddenSize = hidden,
            IntermediateSize = Number(json, "intermediate_size", 1 << 24),
            Layers = Number(json, "num_hidden_layers", 512),
            Heads = heads,
            KeyValueHeads = keyValueHeads,
            HeadLength = head,
            ContextLength = Number(json, "max_position_embeddings", 1 << 30),
            Epsilon = Real(json, "rms_norm_eps", 1e-6, 0, 1),
            RopeTheta = theta,
            RopeScaling = scaling,
            TiedEmbeddings = Flag(json, "tie_word_embeddings", family.TiedByDefault),
            AttentionBias = Flag(json, "attention_bias", false),
            FeedForwardBias = Flag(json, "mlp_bias", false),
            Json = json,
        };
    }

    /// <summary>default, linear, dynamic, yarn, longrope, su or llama3.</summary>
    public string RopeScalingType => RopeScaling is { } scaling ? TypeOf(scaling) : "default";

    /// <summary>A number that only one family has; null where it is absent.</summary>
    public double? Number(string name) => Number(Json, name);

    public double? Number(JsonElement within, string name) => Present(within, name) is { } value
        ? value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && double.IsFinite(number) ? number : throw Refuse(name, "config-value", $"{name} is {Short(value)}, no number")
        : null;

    public IReadOnlyList<double>? Numbers(JsonElement within, string name) => Present(within, name) is { ValueKind: JsonValueKind.Array } list
        ? [.. list.EnumerateArray().Select(value => value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && double.IsFinite(number) ? number
            : throw Refuse(name, "config-value", $"{name} holds {Short(value)}, no number"))]
        : null;

    /// <summary>A whole number above 0; null where it is absent.</summary>
    public long? Whole(string name) => Whole(Json, name);

    public long? Whole(JsonElement within, string name) => Present(within, name) is null ? null : Number(within, name, 1 << 30);

    public string? Text(string name) => Present(Json, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    public bool IsTrue(string name) => Present(Json, name) is { ValueKind: JsonValueKind.True };

    /// <summary>A member that is an object or a list; null where it is absent.</summary>
    public JsonElement? Member(string name) => Present(Json, name);

    /// <summary>An id, or the first of a list; null where there is none.</summary>
    public long? TokenId(string name)
    {
        if (!Json.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) return null;
        if (value.ValueKind == JsonValueKind.Array) value = value.EnumerateArray().FirstOrDefault();
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var id) && id >= 0 && id < VocabularySize ? id
            : throw Refuse(name, "config-value", $"{Short(value)} is no token of {VocabularySize}");
    }

    private static (double Theta, JsonElement? Scaling) Rope(JsonElement json)
    {
        var parameters = Present(json, "rope_parameters") ?? default;
        var scaling = parameters.ValueKind == JsonValueKind.Object ? parameters : Present(json, "rope_scaling");
        // Gemma 3 in the newer style has parameters for each kind of layer.
        if (scaling is { ValueKind: JsonValueKind.Object } kinds && Present(kinds, "full_attention") is { } full) scaling = full;
        if (scaling is { } s && s.ValueKind != JsonValueKind.Object) throw Refuse("rope_scaling", "config-value", "is no object");
        var theta = scaling is { } inner && Present(inner, "rope_theta") is not null ? Real(inner, "rope_theta", 10000, 0, 1e12) : Real(json, "rope_theta", 10000, 0, 1e12);
        if (theta <= 0) throw Refuse("rope_theta", "config-value", $"{theta}; it is above 0");
        var type = scaling is { } named ? TypeOf(named) : "default";
        if (type is not ("default" or "linear" or "dynamic" or "yarn" or "longrope" or "su" or "llama3"))
            throw Refuse("rope_scaling", "config-value", $"the unknown RoPE scaling '{type}'");
        return (theta, type == "default" ? null : scaling);
    }

    private static string TypeOf(JsonElement scaling) => (Present(scaling, "rope_type") ?? Present(scaling, "type"))?.ToString() ?? "default";

    private static long Number(JsonElement json, string name, long most, long? missing = null)
    {
        if (Present(json, name) is not { } value) return missing ?? throw Refuse(name, "config-value", $"{name} is missing");
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) && number > 0 && number <= most ? number
            : throw Refuse(name, "config-value", $"{name} is {Short(value)}; it lies between 1 and {most}");
    }

    private static double Real(JsonElement json, string name, double missing, double least, double most)
    {
        if (Present(json, name) is not { } value) return missing;
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number >= least && number <= most ? number
            : throw Refuse(name, "config-value", $"{name} is {Short(value)}; it lies between {least} and {most}");
    }

    private static bool Flag(JsonElement json, string name, bool missing) => Present(json, name) is not { } value ? missing
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
        : throw Refuse(name, "config-value", $"{name} is {Short(value)}, not true or false");

    private static JsonElement? Present(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static string Short(JsonElement value) => value.ToString() is { Length: > 40 } text ? text[..40] + "…" : value.ToString();

    private static RefusedException Refuse(string field, string code, string message, string remedy = Contradiction) =>
        new(new Error(code, message, remedy) { Field = field });
}
