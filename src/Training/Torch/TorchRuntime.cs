using System.Runtime.InteropServices;
using TokenMill.Shared.Domain;
using TokenMill.Training.Torch.Native;
using static TokenMill.Training.Torch.Native.TorchLibrary;

namespace TokenMill.Training.Torch;

/// <summary>What libtorch and the processor offer, and how many threads they take.</summary>
public static unsafe class TorchRuntime
{
    public sealed record Description(string Kernels, string Torch, bool HasBFloat16, bool HasFastBFloat16);

    /// <exception cref="RefusedException">libtorch is not installed.</exception>
    public static Description Describe()
    {
        TorchLibrary.Require();
        Check(tm_info(out var kernels, out var torch, out var bfloat16, out var fast));
        return new(Marshal.PtrToStringUTF8((nint)kernels)!, Marshal.PtrToStringUTF8((nint)torch)!, bfloat16 != 0, fast != 0);
    }

    /// <summary>
    /// Takes the kernels of another instruction set (baseline, avx2, avx512), or in their place libtorch's operators as a GPU has them
    /// (libtorch), to test them; false where the processor lacks it.
    /// </summary>
    public static bool UseKernels(string level)
    {
        TorchLibrary.Require();
        return tm_use_kernels(level) != 0;
    }

    /// <summary>What <see cref="UseThreads"/> was told last.</summary>
    public static int Threads { get; private set; } = Environment.ProcessorCount;

    /// <summary>Threads of every operation started from this thread: OpenMP counts per thread.</summary>
    public static void UseThreads(int count)
    {
        TorchLibrary.Require();
        Threads = count;
        Check(tm_threads(count));
    }

    /// <summary>Tensors and weights not freed yet.</summary>
    public static long LiveHandles => tm_live_handles();

    /// <summary>The most bytes of tensors and weights that were alive at once since the count was last restarted; whether it starts anew now.</summary>
    public static long PeakTensorBytes(bool restart = false) => tm_peak_memory(restart ? 1 : 0);

    [ThreadStatic] private static bool t_withoutGradient;

    /// <summary>Whether operators on this thread record what a backward pass needs.</summary>
    public static bool RecordsGradient => !t_withoutGradient;

    /// <summary>Until disposed, operators on this thread record nothing for a backward pass.</summary>
    public static IDisposable WithoutGradient() => new GradientMode();

    /// <summary>Until disposed, the token's cancellation ends a pass under way within a layer, with an <see cref="OperationCanceledException"/>.</summary>
    public static IDisposable InterruptBy(CancellationToken token) => new Interruption(token);

    private sealed class Interruption(CancellationToken token) : IDisposable
    {
        private readonly CancellationTokenRegistration _registration = token.Register(() => tm_interrupt(1));

        public void Dispose()
        {
            _registration.Dispose();
            tm_interrupt(0);
        }
    }

    private sealed class GradientMode : IDisposable
    {
        private readonly bool _before = RecordsGradient;

        public GradientMode() => Set(false);

        public void Dispose() => Set(_before);

        private static void Set(bool records)
        {
            Check(tm_grad_mode(records ? 1 : 0));
            t_withoutGradient = !records;
        }
    }
}
