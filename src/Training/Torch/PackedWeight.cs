using TokenMill.Training.Torch.Native;
using static TokenMill.Training.Torch.Native.TorchLibrary;

namespace TokenMill.Training.Torch;

/// <summary>A weight in oneDNN's own layout; packed a second time for dx where gradients pass through it.</summary>
public sealed unsafe class PackedWeight : LinearWeight
{
    public PackedWeight(long outputs, long inputs, TensorType type, bool backward) : base(outputs, inputs, type)
    {
        Check(tm_weight_new(outputs, inputs, (int)type, backward ? 1 : 0, out var handle));
        Handle = handle;
    }

    internal override WeightHandle Handle { get; }

    /// <summary>Room for the weight (outputs × inputs), to be filled; <see cref="Pack()"/> frees it.</summary>
    public Span<float> Source()
    {
        Check(tm_weight_source(Handle, out var source));
        return new Span<float>(source, checked((int)(Outputs * Inputs)));
    }

    public void Pack() => Check(tm_weight_pack(Handle));

    /// <summary>Takes the whole weight from its fp32 master, after each step that changed it.</summary>
    public void Pack(Tensor master) => Check(tm_weight_repack(Handle, master.Handle));

    public override void Dispose() => Handle.Dispose();
}
