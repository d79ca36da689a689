using Microsoft.Win32.SafeHandles;

namespace TokenMill.Training.Torch.Native;

/// <summary>Owns one at::Tensor of the shim.</summary>
internal sealed class TensorHandle() : SafeHandleZeroOrMinusOneIsInvalid(ownsHandle: true)
{
    /// <summary>Hands the tensor over to native code; this no longer frees it.</summary>
    public nint Yield()
    {
        var tensor = handle;
        SetHandleAsInvalid();
        return tensor;
    }

    protected override bool ReleaseHandle()
    {
        TorchLibrary.tm_tensor_free(handle);
        return true;
    }
}

/// <summary>Owns one packed weight of the shim.</summary>
internal sealed class WeightHandle() : SafeHandleZeroOrMinusOneIsInvalid(ownsHandle: true)
{
    protected override bool ReleaseHandle()
    {
        TorchLibrary.tm_weight_free(handle);
        return true;
    }
}
