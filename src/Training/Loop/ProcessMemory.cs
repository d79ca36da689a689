using System.Globalization;
using System.Runtime.InteropServices;

namespace TokenMill.Training.Loop;

/// <summary>Memory of this process as Linux counts it.</summary>
public static partial class ProcessMemory
{
    /// <summary>The most that was resident at once so far, or since <see cref="ResetPeak"/> (VmHWM).</summary>
    public static long PeakBytes() => Field("/proc/self/status", "VmHWM:") ?? Environment.WorkingSet;

    public static long ResidentBytes() => Field("/proc/self/status", "VmRSS:") ?? Environment.WorkingSet;

    /// <summary>Resident bytes of the pool that tensors and weights live in, seen by its huge pages.</summary>
    public static long PoolBytes()
    {
        var (pool, resident) = (0L, 0L);
        foreach (var line in File.ReadLines("/proc/self/smaps"))
        {
            if (line.StartsWith("Rss:", StringComparison.Ordinal)) resident = Kilobytes(line, "Rss:");
            if (line.StartsWith("VmFlags:", StringComparison.Ordinal) && line.Contains(" hg", StringComparison.Ordinal)) pool += resident;
        }
        return pool;
    }

    /// <summary>From here on the peak counts anew.</summary>
    public static void ResetPeak() => File.WriteAllText("/proc/self/clear_refs", "5");

    /// <summary>What the system, and the control group where there is a limit, can still give.</summary>
    public static long AvailableBytes()
    {
        var free = Field("/proc/meminfo", "MemAvailable:") ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        return Number("/sys/fs/cgroup/memory.max") is { } limit && Number("/sys/fs/cgroup/memory.current") is { } used ? Math.Min(free, limit - used) : free;

        static long? Number(string path) => File.Exists(path) && long.TryParse(File.ReadAllText(path), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null;
    }

    /// <summary>Gives memory that is no longer used back to the system: first ours, then that of native code.</summary>
    public static void ReturnFreed()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        _ = malloc_trim(0);
    }

    private static long? Field(string path, string label) => File.ReadLines(path).FirstOrDefault(line => line.StartsWith(label, StringComparison.Ordinal)) is { } line ? Kilobytes(line, label) : null;

    private static long Kilobytes(string line, string label) => long.Parse(line[label.Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture) * 1024;

    /// <summary>https://man7.org/linux/man-pages/man3/malloc_trim.3.html</summary>
    [LibraryImport("libc")]
    private static partial int malloc_trim(nuint pad);
}
