using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Models;

/// <summary>Where a model's weights come from, by GGUF name, as fp32 in Hugging Face's row order.</summary>
public interface IWeightSource
{
    bool Has(string name);

    /// <summary>Fills <paramref name="target"/> with the whole tensor, rows of <paramref name="width"/>.</summary>
    /// <param name="permutedHeads">Heads whose rows GGUF keeps in its own order; 0 = none.</param>
    void Read(string name, Span<float> target, int width, int permutedHeads = 0);

    /// <summary>Adds the tensor's rows to <paramref name="target"/> in the type they are stored in.</summary>
    void ReadStored(string name, StoredRows target, int rows, int permutedHeads = 0);
}

/// <summary>Weights of a GGUF file, expanded from whatever type they have. Reading ends between two tensors when it is cancelled.</summary>
public sealed class GgufWeights(GgufFile file, CancellationToken cancellationToken = default) : IWeightSource
{
    public bool Has(string name) => file.Find(name) is not null;

    public void Read(string name, Span<float> target, int width, int permutedHeads = 0)
    {
        file.ReadFloats(Find(name, target.Length, width == 1 ? target.Length : width), target);
        RotaryOrder.FromGguf(target, permutedHeads, width);
    }

    public void ReadStored(string name, StoredRows target, int rows, int permutedHeads = 0)
    {
        var tensor = Find(name, (long)rows * target.Width, target.Width);
        if (!tensor.Type.CanExpand()) throw new RefusedException("gguf-type-unsupported", $"{name}: weights of type {tensor.Type} cannot be expanded here", "use F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K or Q6_K");
        var bytes = GC.AllocateUninitializedArray<byte>(checked((int)tensor.SizeBytes));
        file.ReadBytes(tensor, bytes);
        RotaryOrder.FromGguf<byte>(bytes, permutedHeads, (int)tensor.RowBytes);
        target.Add(tensor.Type, bytes);
    }

    private GgufTensor Find(string name, long elements, long width)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var tensor = file.Find(name)
            ?? throw new RefusedException("gguf-tensor-missing", $"the tensor {name} is missing", "the file is incomplete: fetch it again");
        return tensor.Elements == elements && tensor.RowLength == width
            ? tensor
            : throw new RefusedException("gguf-tensor-shape", $"{name} has {tensor.Elements} elements, not {elements}", "the file contradicts itself: convert the model again");
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

    public void ReadStored(string name, StoredRows target, int rows, int permutedHeads = 0)
    {
        var values = new float[rows * target.Width];
        Read(name, values, target.Width, permutedHeads);
        target.Add(values);
    }
}
