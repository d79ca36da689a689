using System.Globalization;
using TokenMill.Shared;

namespace TokenMill.Web.Nodes;

/// <summary>What this machine has, asked anew each time: memory changes, and set-up may be finished while the portal runs.</summary>
public sealed class MachineFacts
{
    public string Name { get; } = Environment.MachineName;
    public int Cores { get; } = Environment.ProcessorCount;

    public (long TotalBytes, long AvailableBytes) Memory()
    {
        const string source = "/proc/meminfo";
        if (!File.Exists(source))
        {
            var memory = GC.GetGCMemoryInfo();
            return (memory.TotalAvailableMemoryBytes, memory.TotalAvailableMemoryBytes - memory.MemoryLoadBytes);
        }
        var fields = File.ReadLines(source).Select(l => l.Split(':', 2)).Where(p => p.Length == 2).ToDictionary(p => p[0], p => p[1]);
        return (KiB("MemTotal"), KiB("MemAvailable"));

        long KiB(string field) => long.Parse(fields[field].Trim().Split(' ')[0], CultureInfo.InvariantCulture) * 1024;
    }

    public static long FreeDiskBytes(string folder) => new DriveInfo(Path.GetFullPath(folder)).AvailableFreeSpace;

    /// <summary>Our binding to libtorch was built: fine-tuning is possible.</summary>
    public bool CanTrain => File.Exists(Path.Combine(Installation.Native, "torch", "libtokenmill_torch.so"));

    /// <summary>llama.cpp's libraries were fetched: serving is possible.</summary>
    public bool CanServe => Directory.Exists(Installation.Llama) && Directory.EnumerateFiles(Installation.Llama, "libllama*").Any();
}
