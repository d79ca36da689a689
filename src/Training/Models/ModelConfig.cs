using System.Globalization;
using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Families;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Models;

/// <summary>The shape of a decoder. Sizes are numbers of elements.</summary>
public sealed record ModelConfig
{
    public required ModelFamily Family { get; init; }
    public required int VocabularySize { get; init; }
    public required int HiddenSize { get; init; }
    public required int IntermediateSize { get; init; }
    public required int Layers { get; init; }
    public required int Heads { get; init; }
    public required int KeyValueHeads { get; init; }
    public required int HeadDim { get; init; }
    public required float NormEpsilon { get; init; }
    public required RotarySettings Rotary { get; init; }
    public DecoderTraits Traits { get; init; } = new();
    public required int ContextLength { get; init; }
    public required bool TiedHead { get; init; }

    /// <summary>How the scores of a layer are made.</summary>
    public AttentionScores Scores(int layer) =>
        new(Traits.AttentionScale ?? 1 / MathF.Sqrt(HeadDim), Traits.AttentionSoftcap, Traits.IsWindowed(layer) ? Traits.Window : 0);

    /// <summary>False for modules of layers that the model was built without, to probe what a layer costs.</summary>
    public bool HasModule(string module) =>
        !module.StartsWith("model.layers.", StringComparison.Ordinal) || int.Parse(module.Split('.')[2], CultureInfo.InvariantCulture) < Layers;

    public int QueryWidth => Heads * HeadDim;
    public int KeyWidth => KeyValueHeads * HeadDim;

    /// <summary>All weights, a tied one once; biases and norms of heads are not counted.</summary>
    public long Parameters => (long)VocabularySize * HiddenSize * (TiedHead ? 1 : 2) + HiddenSize
        + Layers * ((long)HiddenSize * (2 * QueryWidth + 2 * KeyWidth + 3 * IntermediateSize + 2));

    /// <summary>Reads a file that <see cref="GgufModel.Check"/> has passed.</summary>
    public static ModelConfig FromGguf(GgufFile file)
    {
        var metadata = file.Metadata;
        var family = Find(metadata.String("general.architecture"), ModelFamily.Of(metadata));
        string Key(string name) => family.Key(name);
        int Int(string name) => checked((int)metadata.UInt32(Key(name)));
        int? TryInt(string name) => metadata.IsArray(Key(name)) ? throw Unsupported(Key(name), "layers of different shape") : checked((int?)metadata.TryUInt32(Key(name)));

        var hidden = Int("embedding_length");
        var heads = TryInt("attention.head_count") ?? throw Unsupported(Key("attention.head_count"), "a model without attention heads");
        var headDim = TryInt("attention.key_length") ?? hidden / heads;
        if (metadata.TryUInt32(Key("expert_count")) is > 0) throw Unsupported(Key("expert_count"), "a mixture of experts");
        if (TryInt("attention.value_length") is { } value && value != headDim) throw Unsupported(Key("attention.value_length"), "values of another width than keys");

        return new ModelConfig
        {
            Family = family,
            VocabularySize = checked((int)(file.Find("token_embd.weight") ?? throw Unsupported("token_embd.weight", "a model without embeddings")).Rows),
            HiddenSize = hidden,
            IntermediateSize = TryInt("feed_forward_length") ?? throw Unsupported(Key("feed_forward_length"), "a model without feed-forward layers"),
            Layers = Int("block_count"),
            Heads = heads,
            KeyValueHeads = TryInt("attention.head_count_kv") ?? heads,
            HeadDim = headDim,
            NormEpsilon = metadata.Float32(Key("attention.layer_norm_rms_epsilon")),
            Rotary = RotarySettings.FromGguf(file, family, headDim),
            Traits = family.Traits(metadata),
            ContextLength = Int("context_length"),
            TiedHead = file.Find("output.weight") is null,
        };
    }

    /// <summary>Reads the fields of a Hugging Face config.json that say the shape; for training from random weights.</summary>
    public static ModelConfig FromHuggingFace(JsonObject fields, int vocabularySize)
    {
        int Required(string name) => TryNumber(fields, name) is { } number ? checked((int)number) : throw new RefusedException("bad-spec", $"model.random.{name} is missing", "give the shape with the field names of a Hugging Face config.json");
        var modelType = fields["model_type"]?.GetValue<string>() ?? "llama";
        if (modelType is not ("llama" or "qwen2" or "qwen3" or "smollm3" or "phi3"))
            throw new RefusedException("bad-spec", $"model.random.model_type: '{modelType}' cannot be trained from random weights", "choose llama, qwen2, qwen3, smollm3 or phi3");
        var (hidden, heads) = (Required("hidden_size"), Required("num_attention_heads"));
        var headDim = (int)(TryNumber(fields, "head_dim") ?? hidden / heads);
        var config = new ModelConfig
        {
            Family = Find(modelType, ModelFamily.ByModelType(modelType)),
            VocabularySize = TryNumber(fields, "vocab_size") is { } size ? checked((int)size) : vocabularySize,
            HiddenSize = hidden,
            IntermediateSize = Required("intermediate_size"),
            Layers = Required("num_hidden_layers"),
            Heads = heads,
            KeyValueHeads = (int)(TryNumber(fields, "num_key_value_heads") ?? heads),
            HeadDim = headDim,
            NormEpsilon = (float)(TryNumber(fields, "rms_norm_eps") ?? 1e-5),
            Rotary = new RotarySettings(TryNumber(fields, "rope_theta") ?? 10000, headDim),
            Traits = modelType == "smollm3" ? new DecoderTraits { UnrotatedLayerInterval = 4 } : new DecoderTraits(),
            ContextLength = (int)(TryNumber(fields, "max_position_embeddings") ?? 2048),
            TiedHead = fields["tie_word_embeddings"]?.GetValue<bool>() ?? true,
        };
        if (config.HiddenSize < 1 || config.IntermediateSize < 1 || config.Layers < 1 || config.Heads < 1 || config.KeyValueHeads < 1 || config.ContextLength < 1
            || config.Heads % config.KeyValueHeads != 0 || config.HeadDim < 2 || config.HeadDim % 2 != 0)
            throw new RefusedException("bad-spec", "model.random: sizes are positive, heads divide by key-value heads, and head_dim is even", "correct the fields of model.random");
        if (config.VocabularySize < vocabularySize) throw new RefusedException("bad-spec", $"model.random.vocab_size: {config.VocabularySize} rows for {vocabularySize} tokens", "leave it out, or make it at least as large as the tokenizer's vocabulary");
        return config;
    }

    private static double? TryNumber(JsonObject fields, string name) => fields[name] is JsonValue value
        ? value.TryGetValue<double>(out var number) ? number : throw new RefusedException("bad-spec", $"model.random.{name} is a number", "correct the field")
        : null;

    private static ModelFamily Find(string name, ModelFamily? family) => family
        ?? throw new RefusedException("architecture-not-trainable", $"models of the architecture '{name}' cannot be trained", $"supported are {string.Join(", ", GgufModel.TrainableArchitectures)}");

    private static RefusedException Unsupported(string field, string what) => new("model-not-trainable", $"{field}: {what} cannot be trained yet", "choose a dense decoder of a supported family");
}
