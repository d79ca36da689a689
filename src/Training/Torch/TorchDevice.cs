using System.Globalization;
using TokenMill.Shared.Domain;
using static TokenMill.Training.Torch.Native.TorchLibrary;

namespace TokenMill.Training.Torch;

/// <summary>
/// Where tensors and weights are made: on the processor, whose operators are our kernels, or on a GPU, whose are libtorch's.
/// A process takes one before it makes any.
/// </summary>
public static class TorchDevice
{
    private const string Cpu = "cpu", Cuda = "cuda", Auto = "auto";

    /// <summary>What names a device; <c>auto</c> is the first GPU where there is one.</summary>
    public const string Names = "auto, cpu, cuda or cuda:N (GPUs count from 0)";

    /// <summary>cpu or cuda:N.</summary>
    public static string Current { get; private set; } = Cpu;

    public static bool IsGpu => Current != Cpu;

    public static bool IsName(string name) => name is Cpu or Auto || GpuOf(name) is not null;

    /// <exception cref="RefusedException">This libtorch or this machine does not have the device.</exception>
    public static void Use(string name)
    {
        Current = Find(name);
        Check(tm_use_device(GpuOf(Current) ?? -1));
    }

    /// <summary>The device that a name stands for on this machine: cpu or cuda:N.</summary>
    /// <exception cref="RefusedException">This libtorch or this machine does not have it.</exception>
    public static string Find(string name)
    {
        Require();
        Check(tm_gpus(out var supported, out var count));
        if (name == Cpu || name == Auto && count == 0) return Cpu;
        var gpu = GpuOf(name) ?? 0;
        if (supported == 0)
            throw Unavailable($"{name} needs a libtorch with CUDA, and libtorch {TorchRuntime.Describe().Torch}, which the trainer is bound to, has none", "set TOKENMILL_LIBTORCH to one (the folder torch/lib of a PyTorch for CUDA) and start ./run once more, or take cpu");
        if (count == 0)
            throw Unavailable($"{name}: libtorch {TorchRuntime.Describe().Torch} sees no GPU", "see whether nvidia-smi lists one, whether its driver is as new as libtorch's CUDA, and whether CUDA_VISIBLE_DEVICES and the container let it through; or take cpu");
        if (gpu >= count)
            throw Unavailable($"{name}: this machine has {count} GPU{(count == 1 ? "" : "s")}", $"take {(count == 1 ? $"{Cuda}:0" : $"{Cuda}:0 to {Cuda}:{count - 1}")}, auto or cpu");
        return $"{Cuda}:{gpu}";

        static RefusedException Unavailable(string message, string remedy) => new("device-unavailable", $"device: {message}", remedy);
    }

    /// <summary>The most that was taken of the GPU at once so far; null on the processor, and before libtorch 2.9, which does not say.</summary>
    public static long? PeakBytes() => tm_peak_device_memory() is >= 0 and var bytes ? bytes : null;

    private static int? GpuOf(string name) => name == Cuda ? 0
        : name.StartsWith($"{Cuda}:", StringComparison.Ordinal) && int.TryParse(name.AsSpan(Cuda.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var gpu) && gpu < 128 ? gpu : null;
}
