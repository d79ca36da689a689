using System.Text.Json.Nodes;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Llama;
using TokenMill.Training.Import;

namespace TokenMill.Training.Models;

/// <summary>
/// What a run starts from: a GGUF file (a Hugging Face folder is imported into one), or a shape with random weights and the tokenizer of a GGUF file (which may hold no
/// weights). Tokenizer and chat template always come from <see cref="TokenizerPath"/>.
/// </summary>
public sealed record ModelSource
{
    private const double DefaultDeviation = 0.02;

    private readonly JsonObject? _random;
    private readonly long _seed;

    /// <param name="model">The spec's field, checked before.</param>
    public ModelSource(JsonNode model, CancellationToken cancellationToken = default)
    {
        if (model is JsonObject scratch)
        {
            _random = scratch["random"]!.AsObject();
            _seed = scratch["seed"]?.GetValue<long>() ?? 0;
            TokenizerPath = ImportedModel.PathOf(scratch["tokenizer"]!.GetValue<string>(), cancellationToken);
        }
        else TokenizerPath = ImportedModel.PathOf(model.GetValue<string>(), cancellationToken);
    }

    public string TokenizerPath { get; }

    public bool IsRandom => _random is not null;

    /// <summary>What a model from random weights is called (random.name).</summary>
    public string Name => Text("name") ?? "untitled";

    /// <summary>The licence of a model from random weights (random.license), an SPDX name in lower case.</summary>
    public string? Licence => Text("license");

    public ModelConfig Config()
    {
        using var file = GgufFile.Open(TokenizerPath);
        if (_random is not null) return ModelConfig.FromHuggingFace(_random, checked((int)(file.Metadata.Count("tokenizer.ggml.tokens") ?? 0)));
        if (GgufModel.Check(file).Trainable is { Yes: false } trainable)
            throw new RefusedException("model-not-trainable", $"model: {trainable.Why}", "choose a dense decoder of a supported family; ./run inspect says what a file is");
        return ModelConfig.FromGguf(file);
    }

    /// <param name="saved">Weights that an adapter brings along in place of the file's.</param>
    public CausalModel Build(ModelConfig config, ModelUse use, IReadOnlyList<TrainedWeight> saved, CancellationToken cancellationToken)
    {
        if (_random is not null) return new CausalModel(config, new RandomWeights(_seed, _random["initializer_range"]?.GetValue<double>() ?? DefaultDeviation, cancellationToken), use);
        using var file = GgufFile.Open(TokenizerPath);
        return new CausalModel(config, new SavedWeights(new GgufWeights(file, cancellationToken), file, saved), use);
    }

    public LlamaVocabulary Vocabulary() => LlamaVocabulary.Load(TokenizerPath);

    /// <summary>Null where the file has none.</summary>
    public ModelChatTemplate? Template()
    {
        using var file = GgufFile.Open(TokenizerPath);
        return file.Metadata.TryString("tokenizer.chat_template") is { Length: > 0 } ? ChatTemplate.ForModel(file) : null;
    }

    private string? Text(string name) => _random?[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;
}
