using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Training.Models;

/// <summary>Where a model's weights come from, by GGUF name, as fp32 in Hugging Face's row order.</summary>
public interface IWeightSource
{
    bool Has(string name);

    /// <summary>Fills <paramref name="target"/> with the whole tensor, rows of <paramref name="width"/>.</summary>
    /// <param name="permutedHeads">Heads whose rows GGUF keeps in its own order; 0 = none.</param>
    void Read(string name, Span<float> target, int width, int permutedHeads = 0);
}

/// <summary>Weights of a GGUF file, expanded from whatever type they have. Reading ends between two tensors when it is cancelled.</summary>
public sealed class GgufWeights(GgufFile file, CancellationToken cancellationToken = default) : IWeightSource
{
    public bool Has(string name) => file.Find(name) is not null;

    public void Read(string name, Span<float> target, int width, int permutedHeads = 0)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var tensor = file.Find(name)
            ?? throw new RefusedException("gguf-tensor-missing", $"the tensor {name} is missing", "the file is incomplete: fetch it again");
        if (tensor.Elements != target.Length || tensor.RowLength != (width == 1 ? target.Length : width))
            throw new RefusedException("gguf-tensor-shape", $"{name} has {tensor.Elements} elements, not {target.Length}", "the file contradicts itself: convert the model again");
        file.ReadFloats(tensor, target);
        RotaryOrder.FromGguf(target, permutedHeads, width);
    }
}

/// <summary>Weights to train from scratch: normal with the given deviation, norms 1, biases absent. Each tensor's numbers follow from seed and name.</summary>
public sealed class RandomWeights(long seed, double deviation, CancellationToken cancellationToken = default) : IWeightSource
{
    public bool Has(string name) => !name.EndsWith(".bias", StringComparison.Ordinal);

    public void Read(string name, Span<float> target, int width, int permutedHeads = 0)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (name.EndsWith("norm.weight", StringComparison.Ordinal))
        {
            target.Fill(1);
            return;
        }
        var random = new SeededRandom(SeededRandom.Mix(seed, name));
        foreach (ref var value in target) value = (float)(random.Normal() * deviation);
    }
}
