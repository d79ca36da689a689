using System.Diagnostics;
using System.Globalization;

namespace TokenMill.Serving.Host;

/// <summary>
/// How many cores others leave free. ggml's threads wait for each other by spinning, so that one thread too many on a busy
/// machine makes a step slower by an order of magnitude: better one less.
/// </summary>
internal static class CpuLoad
{
    private const double TicksPerSecond = 100;                 // USER_HZ, fixed in the kernel's interface
    private static readonly TimeSpan Sample = TimeSpan.FromMilliseconds(250);

    /// <summary>Cores not in use by other processes at this moment, at least one.</summary>
    public static int FreeCores()
    {
        if (!File.Exists("/proc/stat")) return Environment.ProcessorCount;
        using var self = Process.GetCurrentProcess();
        var (busy, own, clock) = (BusySeconds(), self.TotalProcessorTime, Stopwatch.StartNew());
        using (var pause = new ManualResetEventSlim()) pause.Wait(Sample);
        self.Refresh();
        var others = (BusySeconds() - busy - (self.TotalProcessorTime - own).TotalSeconds) / clock.Elapsed.TotalSeconds;
        return Math.Clamp(Environment.ProcessorCount - (int)Math.Round(others), 1, Environment.ProcessorCount);
    }

    /// <summary>Processor time of the whole machine spent on anything but waiting.</summary>
    private static double BusySeconds()
    {
        // cpu user nice system idle iowait irq softirq steal
        var ticks = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..9].Select(t => double.Parse(t, CultureInfo.InvariantCulture)).ToArray();
        return (ticks.Sum() - ticks[3] - ticks[4]) / TicksPerSecond;
    }
}
