using System.IO.Compression;
using TokenMill.Shared.Jobs;

namespace TokenMill.Training.Forecast;

/// <summary>
/// A specification whose large files are replaced by pieces of them, in a folder of its own; their weights are raised by what was left out, so that
/// an epoch has as many rows as with the whole. JSON Lines are sampled in blocks evenly over the file (which may be sorted), other files from their beginning.
/// </summary>
internal sealed class DataSample : IDisposable
{
    private const long WholeBytes = 3 << 20, SampleBytes = 2 << 20;
    private const int Blocks = 32, MostWeight = 1000;

    private readonly string _folder = Directory.CreateTempSubdirectory("tokenmill-plan-").FullName;

    public DataSample(FineTuneSpec spec)
    {
        var data = spec.Data.Select((source, i) =>
        {
            var (path, share) = Take(source.Path, $"data-{i}", source.Weight);
            IsPartial |= share < 1;
            return source with { Path = path, Weight = source.Weight / share };
        }).ToList();
        Spec = spec with { Data = data };
        if (spec.Validation?.Path is not { } validation) return;
        var (taken, validationShare) = Take(validation, "validation", 1);
        (Spec, ValidationShare) = (Spec with { Validation = spec.Validation with { Path = taken } }, validationShare);
    }

    public FineTuneSpec Spec { get; }
    public bool IsPartial { get; private set; }

    /// <summary>Of the validation file's bytes.</summary>
    public double ValidationShare { get; } = 1;

    public string Folder => _folder;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private (string Path, double Share) Take(string path, string name, double weight)
    {
        var size = new FileInfo(path).Length;
        if (size <= WholeBytes) return (path, 1);
        var bytes = Math.Max(SampleBytes, (long)(size * Math.Max(weight, 1) / MostWeight) + 1);
        if (bytes >= size) return (path, 1);

        using var file = File.OpenRead(path);
        Span<byte> head = stackalloc byte[4];
        file.ReadExactly(head);
        file.Position = 0;
        var target = Path.Combine(_folder, name + Path.GetExtension(path));
        using var sample = File.Create(target);
        var start = head.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]) ? head[3..] : head;
        if (start[0] == '{') return (target, Spread(file, size, bytes, sample));
        if (head.StartsWith((ReadOnlySpan<byte>)[0x1F, 0x8B]))
        {
            using var content = new GZipStream(file, CompressionMode.Decompress);
            Lines(content, bytes, sample, fromTheMiddle: false);
            return (target, Math.Min(1, (double)file.Position / size));
        }
        if (start[0] == '[') return (path, 1);              // an array has no beginning that could stand alone
        return (target, (double)Lines(file, bytes, sample, fromTheMiddle: false) / size);
    }

    private static double Spread(FileStream file, long size, long bytes, FileStream sample)
    {
        var taken = 0L;
        for (var block = 0; block < Blocks; block++)
        {
            file.Position = size / Blocks * block;
            taken += Lines(file, bytes / Blocks, sample, fromTheMiddle: block > 0);
        }
        return (double)taken / size;
    }

    /// <summary>Copies whole lines, as many as make up the bytes; gives how many bytes they are.</summary>
    private static long Lines(Stream source, long bytes, FileStream target, bool fromTheMiddle)
    {
        var buffer = new byte[bytes];
        var read = buffer.AsSpan(0, source.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false));
        if (fromTheMiddle) read = read[(read.IndexOf((byte)'\n') + 1)..];
        read = read[..(read.LastIndexOf((byte)'\n') + 1)];
        target.Write(read);
        return read.Length;
    }
}
