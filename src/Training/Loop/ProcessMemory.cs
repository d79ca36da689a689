using System.Globalization;
using System.Runtime.InteropServices;

namespace TokenMill.Training.Loop;

/// <summary>Memory of this process as Linux counts it.</summary>
public static partial class ProcessMemory
{
    /// <summary>The most that was resident at once so far, or since <see cref="ResetPeak"/> (VmHWM).</summary>
    public static long PeakBytes() => Kilobytes("/proc/self/status", "VmHWM:") ?? Environment.WorkingSet;

    public static long ResidentBytes() => Kilobytes("/proc/self/status", "VmRSS:") ?? Environment.WorkingSet;

    /// <summary>From here on the peak counts anew.</summary>
    public static void ResetPeak() => File.WriteAllText("/proc/self/clear_refs", "5");

    /// <summary>What the system, and the control group where there is a limit, can still give.</summary>
    public static long AvailableBytes()
    {
        var free = Kilobytes("/proc/meminfo", "MemAvailable:") ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        return Number("/sys/fs/cgroup/memory.max") is { } limit && Number("/sys/fs/cgroup/memory.current") is { } used ? Math.Min(free, limit - used) : free;

        static long? Number(string path) => File.Exists(path) && long.TryParse(File.ReadAllText(path), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null;
    }

    /// <summary>Gives memory that is no longer used back to the system: first ours, then that of native code.</summary>
    public static void ReturnFreed()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        _ = malloc_trim(0);
    }

    private static long? Kilobytes(string path, string label) => File.ReadLines(path).FirstOrDefault(line => line.StartsWith(label, StringComparison.Ordinal)) is { } line
        ? long.Parse(line[label.Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture) * 1024
        : null;

    /// <summary>https://man7.org/linux/man-pages/man3/malloc_trim.3.html</summary>
    [LibraryImport("libc")]
    private static partial int malloc_trim(nuint pad);
}
