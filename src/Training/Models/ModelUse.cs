using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Models;

/// <summary>What a model is built for: <paramref name="Type"/> is the format of weights and products.</summary>
/// <param name="Trains">Gradients pass through the model (with adapters, or to all weights).</param>
/// <param name="TrainsWeights">Every weight is a parameter.</param>
public sealed record ModelUse(TensorType Type, bool Trains, bool TrainsWeights)
{
    /// <summary>Modules beside the adapters that are trained whole: embeddings, output layer, norms.</summary>
    public IReadOnlyList<string> SavedModules { get; init; } = [];

    /// <summary>The lengths of the rows of linear weights are wanted (DoRA).</summary>
    public bool MeasuresRows { get; init; }

    /// <summary>Matrices stay as the file stores them and are expanded when they are used: slower, and as small as the file (QLoRA).</summary>
    public bool KeepsStored { get; init; }

    /// <summary>Layers keep only their inputs and are computed again for the gradient (activation checkpointing).</summary>
    public bool RepeatsLayers { get; init; }

    /// <summary>With what an adapter of this kind needs.</summary>
    public ModelUse For(PeftConfig? adapter) => adapter is null ? this : this with { SavedModules = adapter.ModulesToSave, MeasuresRows = adapter.Dora };

    /// <summary>Whether a module that carries no adapter is trained.</summary>
    public bool TrainsModule(string module) => TrainsWeights || Trains && SavedModules.Any(pattern => ModulePattern.Matches(pattern, module));

    public static ModelUse Inference(TensorType type) => new(type, false, false);
    public static ModelUse Adapters(TensorType type) => new(type, true, false);
    public static ModelUse AllWeights(TensorType type) => new(type, true, true);
}
