using System.Runtime.InteropServices;
using TokenMill.Training.Torch;
using TokenMill.Training.Torch.Native;
using static TokenMill.Training.Torch.Native.TorchLibrary;

namespace TokenMill.Training.Models;

/// <summary>
/// A layer's pass that keeps nothing but its inputs and is made a second time for its gradient (activation checkpointing).
/// Memory falls to a stream per layer, at the price of one more forward pass.
/// </summary>
internal static unsafe class RepeatedLayer
{
    public delegate (Tensor Stream, Tensor Delta) Pass(Tensor stream, Tensor? delta);

    public static (Tensor Stream, Tensor Delta) Forward(Tensor stream, Tensor? delta, Pass pass)
    {
        using var scope = new TensorScope();
        Tensor sum, output;
        using (TorchRuntime.WithoutGradient()) (sum, output) = pass(stream, delta);
        var owner = GCHandle.Alloc(pass);
        Check(tm_repeated(stream.Handle, Tensor.OrNull(delta), sum.Handle, output.Handle, &Repeat, &Release, GCHandle.ToIntPtr(owner), out var sumAgain, out var outputAgain));
        GC.KeepAlive(delta);
        return (scope.Keep(new Tensor(sumAgain)), scope.Keep(new Tensor(outputAgain)));
    }

    /// <summary>Called while the gradient is computed. The handles it is given become its own; those it gives belong to the caller. Nothing may be thrown through native code.</summary>
    [UnmanagedCallersOnly]
    private static int Repeat(nint owner, nint stream, nint delta, nint* sumOut, nint* outputOut)
    {
        try
        {
            using var scope = new TensorScope();
            var (sum, output) = ((Pass)GCHandle.FromIntPtr(owner).Target!)(Owned(stream), delta == 0 ? null : Owned(delta));
            (*sumOut, *outputOut) = (sum.Handle.Yield(), output.Handle.Yield());
            return 0;
        }
        catch (Exception)
        {
            return -1;      // native code knows the reason: it came from there
        }
    }

    [UnmanagedCallersOnly]
    private static void Release(nint owner) => GCHandle.FromIntPtr(owner).Free();

    private static Tensor Owned(nint tensor)
    {
        var handle = new TensorHandle();
        Marshal.InitHandle(handle, tensor);
        return new Tensor(handle);
    }
}
