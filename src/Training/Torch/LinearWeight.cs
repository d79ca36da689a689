using TokenMill.Training.Torch.Native;

namespace TokenMill.Training.Torch;

/// <summary>The weight (outputs × inputs) of a linear layer, for y = x·Wᵀ and dx = dy·W; <paramref name="type"/> is the format of its products.</summary>
public abstract class LinearWeight(long outputs, long inputs, TensorType type) : IDisposable
{
    internal abstract WeightHandle Handle { get; }
    public long Outputs { get; } = outputs;
    public long Inputs { get; } = inputs;
    public TensorType Type { get; } = type;

    public abstract void Dispose();
}
