using System.Globalization;

namespace TokenMill.Training.Loop;

/// <summary>Memory of this process as Linux counts it.</summary>
public static class ProcessMemory
{
    /// <summary>The most that was resident at once so far (VmHWM).</summary>
    public static long PeakBytes()
    {
        const string label = "VmHWM:";
        foreach (var line in File.ReadLines("/proc/self/status"))
            if (line.StartsWith(label, StringComparison.Ordinal)) return long.Parse(line[label.Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture) * 1024;
        return Environment.WorkingSet;
    }
}
