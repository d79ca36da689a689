using System.Runtime.InteropServices;
using TokenMill.Training.Torch.Native;
using static TokenMill.Training.Torch.Native.TorchLibrary;

namespace TokenMill.Training.Torch;

/// <summary>
/// A frozen weight that stays as its file stores it and is expanded, some rows at a time, whenever it is used.
/// It must not be freed before a pass that uses it has ended.
/// </summary>
public sealed unsafe class StoredWeight : LinearWeight
{
    private GCHandle _self;

    public StoredWeight(StoredRows rows, TensorType type) : base(rows.Count, rows.Width, type)
    {
        Rows = rows;
        _self = GCHandle.Alloc(this);
        Check(tm_weight_stored(Outputs, Inputs, (int)type, &Expand, GCHandle.ToIntPtr(_self), out var handle));
        Handle = handle;
    }

    internal override WeightHandle Handle { get; }

    public StoredRows Rows { get; }

    public override void Dispose()
    {
        Handle.Dispose();
        if (_self.IsAllocated) _self.Free();
    }

    /// <summary>Called by native code; nothing may be thrown through it.</summary>
    [UnmanagedCallersOnly]
    private static int Expand(nint owner, long first, long rows, float* target)
    {
        try
        {
            ((StoredWeight)GCHandle.FromIntPtr(owner).Target!).Rows.Expand((int)first, (int)rows, target);
            return 0;
        }
        catch (Exception)
        {
            return -1;      // the pass fails with the layer's own message
        }
    }
}
