using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Formats.Safetensors;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Checkpoints;

/// <summary>
/// Checkpoints of a run, a folder each: state.safetensors (parameters and moments, fp32) and state.json with its hash. A
/// checkpoint is written beside the others under a temporary name, flushed to disk, then renamed: it is there whole or not
/// at all. Older ones are removed once the new one is safe.
/// </summary>
public sealed class CheckpointStore(string folder, int keep)
{
    public const int Version = 1;
    private const string StateName = "state.json", TensorsName = "state.safetensors", Prefix = "step-", Temporary = ".writing-";

    private readonly List<byte[]> _buffers = [];            // taken again for each snapshot: fresh memory costs more than the copy

    /// <summary>Tensors copied out of the run, so that they can be written while it goes on; good until the next one is taken.</summary>
    public sealed record Snapshot(Checkpoint Checkpoint, IReadOnlyList<(string Name, TensorType Type, long[] Shape, byte[] Bytes)> Tensors);

    /// <summary>Copies the tensors; the snapshot before must have been written.</summary>
    public Snapshot Take(Checkpoint checkpoint, IEnumerable<(string Name, Tensor Value)> tensors)
    {
        var all = tensors.ToList();
        var copies = new (string Name, TensorType Type, long[] Shape, byte[] Bytes)[all.Count];
        while (_buffers.Count < all.Count) _buffers.Add([]);
        Parallel.For(0, all.Count, i =>
        {
            var (name, value) = all[i];
            var (type, shape) = (value.Type, value.Shape);
            var size = shape.Aggregate(1L, (product, length) => product * length) * type.SizeBytes();
            if (_buffers[i].Length != size) _buffers[i] = GC.AllocateUninitializedArray<byte>(checked((int)size));
            value.Read(_buffers[i]);
            copies[i] = (name, type, shape, _buffers[i]);
        });
        return new Snapshot(checkpoint, copies);
    }

    /// <summary>Writes a snapshot and gives its folder.</summary>
    public string Write(Snapshot snapshot)
    {
        Directory.CreateDirectory(folder);
        var temporary = Path.Combine(folder, $"{Temporary}{snapshot.Checkpoint.Step}");
        var path = Path.Combine(folder, $"{Prefix}{snapshot.Checkpoint.Step:D8}");
        try
        {
            Directory.CreateDirectory(temporary);
            WriteTo(temporary, snapshot);
            if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
            Directory.Move(temporary, path);
            Disk.FlushFolder(folder);
        }
        catch
        {
            if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);      // on a full disk it holds the room that is missing
            throw;
        }
        Tidy();
        return path;
    }

    private static void WriteTo(string temporary, Snapshot snapshot)
    {
        var writer = new SafetensorsWriter();
        foreach (var (name, type, shape, bytes) in snapshot.Tensors) writer.Add(name, shape, StoredAs(type), stream => stream.Write(bytes));
        var tensors = Path.Combine(temporary, TensorsName);
        writer.Save(tensors);
        var checkpoint = snapshot.Checkpoint with { Sha256 = Hash(tensors) };
        AtomicFile.Write(Path.Combine(temporary, StateName), stream => stream.Write(Encoding.UTF8.GetBytes(Json.Serialize(checkpoint))));
    }

    /// <summary>
    /// The newest checkpoint that is whole, its tensors written into <paramref name="tensors"/>; null when there is none yet.
    /// Each damaged one that is passed over is reported.
    /// </summary>
    /// <exception cref="RefusedException">Checkpoints are there, but none is whole.</exception>
    public Checkpoint? Restore(IReadOnlyList<(string Name, Tensor Value)> tensors, Action<string> damaged)
    {
        Tidy();
        var steps = Steps().ToList();
        foreach (var path in steps)
        {
            try
            {
                return Read(path, tensors);
            }
            catch (Exception e) when (e is RefusedException or IOException or System.Text.Json.JsonException)
            {
                damaged($"{path} cannot be used: {e.Message}");
            }
        }
        return steps.Count == 0 ? null : throw new RefusedException("checkpoints-damaged", $"none of the {steps.Count} checkpoints in {folder} is whole", "start again in a new output folder");
    }

    private static Checkpoint Read(string path, IReadOnlyList<(string Name, Tensor Value)> tensors)
    {
        var checkpoint = Json.Deserialize<Checkpoint>(File.ReadAllText(Path.Combine(path, StateName)));
        if (checkpoint.Version != Version) throw Damaged($"it is of version {checkpoint.Version}, this program reads {Version}");
        var file = Path.Combine(path, TensorsName);
        if (Hash(file) != checkpoint.Sha256) throw Damaged("its hash is not the one it was written with");
        using var opened = SafetensorsFile.Open(file);
        if (opened.Tensors.Count != tensors.Count) throw Damaged($"it holds {opened.Tensors.Count} tensors, the run has {tensors.Count}");
        foreach (var (name, value) in tensors)
        {
            var stored = opened.Find(name) ?? throw Damaged($"{name} is missing");
            if (!stored.Has(value.Shape) || stored.Type != StoredAs(value.Type)) throw Damaged($"{name} has another shape or type");
            value.Write(opened.ReadBytes(stored));
        }
        return checkpoint;
    }

    private static SafetensorsType StoredAs(TensorType type) => type switch
    {
        TensorType.Float32 => SafetensorsType.F32,
        TensorType.UInt8 => SafetensorsType.U8,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "no state has this type"),
    };

    /// <summary>Removes what is older than asked for, and what a trainer that was killed left half written.</summary>
    private void Tidy()
    {
        foreach (var old in Steps().Skip(keep)) Directory.Delete(old, recursive: true);
        if (!Directory.Exists(folder)) return;
        foreach (var abandoned in Directory.EnumerateDirectories(folder, Temporary + "*")) Directory.Delete(abandoned, recursive: true);
    }

    /// <summary>Folders of finished checkpoints, newest first.</summary>
    private IEnumerable<string> Steps() => !Directory.Exists(folder) ? [] : Directory.EnumerateDirectories(folder, Prefix + "*")
        .Where(path => int.TryParse(Path.GetFileName(path)[Prefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out _))
        .OrderByDescending(path => path, StringComparer.Ordinal);

    private static string Hash(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    private static RefusedException Damaged(string why) => new("checkpoint-damaged", why);
}
