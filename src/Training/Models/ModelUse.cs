using TokenMill.Training.Torch;

namespace TokenMill.Training.Models;

/// <summary>What a model is built for: <paramref name="Type"/> is the format of weights and products.</summary>
/// <param name="Trains">Gradients pass through the model (with adapters, or to all weights).</param>
/// <param name="TrainsWeights">Every weight is a parameter.</param>
public sealed record ModelUse(TensorType Type, bool Trains, bool TrainsWeights)
{
    public static ModelUse Inference(TensorType type) => new(type, false, false);
    public static ModelUse Adapters(TensorType type) => new(type, true, false);
    public static ModelUse AllWeights(TensorType type) => new(type, true, true);
}
