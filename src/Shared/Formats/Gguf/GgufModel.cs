using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Families;

namespace TokenMill.Shared.Formats.Gguf;

/// <summary>
/// A GGUF file understood as a model: hyperparameters, tensors and vocabulary agree with each other. Everything that is
/// handed to native code passes <see cref="Check"/> first, since llama.cpp v0.5.0 ends the process on many a contradiction.
/// The twelve layouts of <see cref="GgufArchitecture"/> are checked tensor by tensor, other architectures in general.
/// </summary>
public sealed record GgufModel
{
    /// <summary>Architectures the trainer builds.</summary>
    public static IReadOnlyCollection<string> TrainableArchitectures { get; } = [.. ModelFamily.All.Select(f => f.Architecture).Distinct()];

    public required string Architecture { get; init; }
    public required long Parameters { get; init; }

    /// <summary>Tensors of each element type.</summary>
    public required IReadOnlyDictionary<string, int> Types { get; init; }
    public required long ContextLength { get; init; }
    public required long Vocabulary { get; init; }
    public required bool HasChatTemplate { get; init; }
    public string? Licence { get; init; }
    public required Ability Trainable { get; init; }
    public required Ability Servable { get; init; }

    /// <summary>It gives vectors for texts, and writes none.</summary>
    public bool Embeds { get; init; }
    public required IReadOnlyList<ModelFinding> Warnings { get; init; }

    /// <exception cref="RefusedException">The first contradiction, with its field.</exception>
    public static GgufModel Check(GgufFile file)
    {
        var architecture = CheckKind(file);
        if (file.Tensors.Count == 0) throw GgufFile.Refuse(null, "gguf-tensor-missing", "a file without tensors (a vocabulary only)", "choose the model itself");
        return architecture.Name == "clip" ? Describe(file, architecture, null, []) : CheckText(file, architecture);
    }

    /// <summary>What must hold before the vocabulary alone is loaded: of a model, or of a tokenizer file, which has no tensors.</summary>
    /// <exception cref="RefusedException">The first contradiction, with its field.</exception>
    public static void CheckVocabulary(GgufFile file)
    {
        if (file.Tensors.Count > 0)
        {
            Check(file);
            return;
        }
        CheckKind(file);
        GgufVocabulary.Check(file.Metadata);
    }

    private static GgufArchitecture CheckKind(GgufFile file)
    {
        var metadata = file.Metadata;
        var kind = metadata.TryString("general.type");
        if (kind is not (null or "model" or "mmproj"))
            throw GgufFile.Refuse("general.type", "gguf-not-a-model", $"a file of the kind '{kind}', not a model",
                kind == "adapter" ? "an adapter is used together with its base" : "choose the model itself");
        if (metadata.TryUInt16("split.count") is > 1)
            throw GgufFile.Refuse("split.count", "gguf-split", "one part of a model in several files", "join the parts first: llama-gguf-split --merge");
        var name = metadata.String("general.architecture");
        metadata.TryString("general.name");
        return GgufArchitecture.Find(name)
            ?? throw GgufFile.Refuse("general.architecture", "gguf-architecture-unknown", $"the unknown architecture '{name}'",
                "models of llama, mistral, qwen2, qwen3, gemma3, phi3, smollm3 and everything else that llama.cpp v0.5.0 serves are supported");
    }

    private static GgufModel CheckText(GgufFile file, GgufArchitecture architecture)
    {
        var hyperparameters = new GgufHyperparameters(file.Metadata, architecture);
        file.Metadata.String(GgufVocabulary.Model);
        var tokens = file.Metadata.Count(GgufVocabulary.Tokens)
            ?? throw GgufFile.Refuse(GgufVocabulary.Tokens, "gguf-key-missing", $"the file lacks {GgufVocabulary.Tokens}");
        GgufTensorPlan.CheckGeneral(file, hyperparameters, tokens);
        var foreign = architecture.Layout is { } layout ? GgufTensorPlan.Check(file, hyperparameters, layout, tokens) : [];
        GgufVocabulary.Check(file.Metadata);
        return Describe(file, architecture, hyperparameters, foreign);
    }

    private static GgufModel Describe(GgufFile file, GgufArchitecture architecture, GgufHyperparameters? hyperparameters, IReadOnlyList<string> foreign)
    {
        var metadata = file.Metadata;
        var servable = Servability(metadata, architecture, foreign);
        return new GgufModel
        {
            Architecture = architecture.Name,
            Parameters = file.Tensors.Where(t => !t.Name.StartsWith("rope_f", StringComparison.Ordinal)).Sum(t => t.Elements),
            Types = file.Tensors.GroupBy(t => t.Type.ToString()).ToDictionary(g => g.Key, g => g.Count()),
            ContextLength = hyperparameters?.ContextLength ?? 0,
            Vocabulary = metadata.Count(GgufVocabulary.Tokens) ?? 0,
            HasChatTemplate = metadata.TryString("tokenizer.chat_template") is { Length: > 0 },
            Licence = metadata.TryString("general.license"),
            Servable = servable,
            Embeds = IsEmbedding(metadata, architecture),
            Trainable = Trainability(file, architecture, hyperparameters, servable),
            Warnings = [.. Warn(file, architecture, foreign)],
        };
    }

    private static Ability Servability(GgufMetadata metadata, GgufArchitecture architecture, IReadOnlyList<string> foreign) =>
        architecture.Purpose != GgufArchitecture.Use.Text ? new(false, $"{architecture.Name} models do not write text")
        : IsEmbedding(metadata, architecture)
            ? new(false, "an embedding model; it does not write text")
        : !GgufVocabulary.IsGeneral(metadata.String(GgufVocabulary.Model)) ? new(false, $"the tokenizer '{metadata.String(GgufVocabulary.Model)}' is not supported")
        : foreign.Count > 0 ? new(false, $"the tensor {foreign[0]} does not belong to a {architecture.Name} model")
        : new(true, $"{architecture.Name} models are served by llama.cpp");

    private static bool IsEmbedding(GgufMetadata metadata, GgufArchitecture architecture) =>
        architecture.Purpose == GgufArchitecture.Use.Embedding
        || architecture.Purpose == GgufArchitecture.Use.Text && (metadata.TryBool($"{architecture.Name}.attention.causal") == false || metadata.TryUInt32($"{architecture.Name}.pooling_type") is > 0);

    private static Ability Trainability(GgufFile file, GgufArchitecture architecture, GgufHyperparameters? hyperparameters, Ability servable) =>
        !servable.Yes ? servable
        : !TrainableArchitectures.Contains(architecture.Name) ? new(false, $"{architecture.Name} cannot be trained yet; {string.Join(", ", TrainableArchitectures.Order())} can")
        : hyperparameters!.Experts > 0 ? new(false, "models with experts cannot be trained yet")
        : file.Tensors.FirstOrDefault(t => t.Name.EndsWith(".scale", StringComparison.Ordinal) || t.Name.EndsWith(".input_scale", StringComparison.Ordinal)) is { } scale
            ? new(false, $"the tensor {scale.Name}: weights with a scale beside them cannot be trained yet")
        : file.Tensors.FirstOrDefault(t => !t.Type.CanExpand()) is { } tensor
            ? new(false, $"weights of type {tensor.Type} cannot be expanded for training; take an F16, Q8_0 or Q4_K file of this model")
        : new(true, $"LoRA and full fine-tuning of {architecture.Name} models");

    private static IEnumerable<ModelFinding> Warn(GgufFile file, GgufArchitecture architecture, IReadOnlyList<string> foreign)
    {
        var metadata = file.Metadata;
        if (architecture.Purpose == GgufArchitecture.Use.Text && metadata.TryString("tokenizer.chat_template") is not { Length: > 0 })
            yield return new("tokenizer.chat_template", "chat-template-missing", "no chat template: chat needs one that the user chooses");
        if (architecture is { Purpose: GgufArchitecture.Use.Text, Layout: null })
            yield return new("general.architecture", "architecture-checked-in-general", $"tensors of {architecture.Name} models are checked for types, blocks and vocabulary only, not one by one");
        foreach (var tensor in foreign.Take(10)) yield return new(tensor, "gguf-tensor-unknown", $"a tensor that {architecture.Name} models do not have");
        if (metadata.TryUInt32($"{architecture.Name}.vocab_size") is { } size && size != metadata.Count(GgufVocabulary.Tokens))
            yield return new($"{architecture.Name}.vocab_size", "gguf-vocab-size", $"says {size}, but there are {metadata.Count(GgufVocabulary.Tokens)} tokens; the tokens count");
    }
}
