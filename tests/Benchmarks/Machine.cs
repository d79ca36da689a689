using TokenMill.Training.Torch;

namespace TokenMill.Benchmarks;

/// <summary>What every table says of the machine it was made on.</summary>
internal static class Machine
{
    public static string Describe() => $"{Environment.ProcessorCount} cores, {Processor()}, kernels {TorchRuntime.Describe().Kernels}, libtorch {TorchRuntime.Describe().Torch}, load {Load()}";

    public static string Load() => File.ReadAllText("/proc/loadavg").Split(' ')[0];

    private static string Processor() => File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim() ?? "unknown processor";
}
