using TokenMill.Shared.Domain;

namespace TokenMill.Web.Hosting;

/// <summary>
/// Everything the platform keeps, in one folder that can be moved and backed up while it is stopped:
/// <code>
/// platform.lock   held while a platform runs on it
/// platform.db     the database (with -wal and -shm beside it)
/// queue.db        the job scheduler's own database
/// keys/           keys that sign cookies; private
/// uploads/        unfinished uploads; emptied at start
/// datasets/       ID.jsonl: the good rows of a dataset version
/// models/         ID/…: imported models
/// weight-types/   what was measured of models' types of weights on this machine
/// runs/           ID/…: spec, checkpoints and results of a fine-tune
/// </code>
/// Paths in the database are relative to it.
/// </summary>
public sealed class DataDirectory : IDisposable
{
    private const long FreeReserveBytes = 256L << 20;

    private readonly FileStream _lock;

    private DataDirectory(string root, FileStream @lock) => (Root, _lock) = (root, @lock);

    public string Root { get; }
    public string Database => Path.Combine(Root, "platform.db");
    public string QueueDatabase => Path.Combine(Root, "queue.db");
    public string Keys => Path.Combine(Root, "keys");
    public string Uploads => Path.Combine(Root, "uploads");
    public string Datasets => Path.Combine(Root, "datasets");
    public string Models => Path.Combine(Root, "models");
    public string WeightTypes => Path.Combine(Root, "weight-types");
    public string Runs => Path.Combine(Root, "runs");

    /// <summary>Makes the folders, checks that they can be written and takes the lock.</summary>
    public static DataDirectory Open(string path)
    {
        var root = Path.GetFullPath(path);
        FileStream? held = null;
        try
        {
            Directory.CreateDirectory(root);
            held = Lock(Path.Combine(root, "platform.lock"));
            var directory = new DataDirectory(root, held);
            if (Directory.Exists(directory.Uploads)) Directory.Delete(directory.Uploads, recursive: true);
            foreach (var folder in (string[])[directory.Uploads, directory.Datasets, directory.Models, directory.Runs]) Directory.CreateDirectory(folder);
            if (OperatingSystem.IsWindows()) Directory.CreateDirectory(directory.Keys);
            else Directory.CreateDirectory(directory.Keys, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            directory.RequireSpace(0);
            return directory;
        }
        catch (Exception e)
        {
            held?.Dispose();
            if (e is IOException or UnauthorizedAccessException)
                throw new RefusedException(new Error("data-not-writable", $"The data directory {root} cannot be written: {e.Message}", "give the right to write there, or choose another with --data DIR"), e);
            throw;
        }
    }

    /// <summary>A path of the database as a path of the machine.</summary>
    public string Resolve(string storePath) => Path.GetFullPath(storePath, Root);

    /// <summary>A path of the machine as the database keeps it: relative where it lies inside.</summary>
    public string Relative(string path)
    {
        var relative = Path.GetRelativePath(Root, Path.GetFullPath(path));
        return relative.StartsWith("..", StringComparison.Ordinal) ? Path.GetFullPath(path) : relative;
    }

    public long FreeBytes => new DriveInfo(Root).AvailableFreeSpace;

    /// <summary>Refuses work that would fill the disk, so that the database can always be written.</summary>
    public void RequireSpace(long bytes)
    {
        var free = FreeBytes;
        if (free < bytes + FreeReserveBytes)
            throw new RefusedException("disk-full", $"{Root} has {free >> 20} MiB free, {(bytes + FreeReserveBytes) >> 20} MiB are needed", "delete what is no longer needed, or move the data directory to a larger disk");
    }

    public void Dispose() => _lock.Dispose();

    private static FileStream Lock(string path)
    {
        var existed = File.Exists(path);
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (existed && e is not FileNotFoundException and not DirectoryNotFoundException)
        {
            throw new RefusedException(new Error("data-in-use", $"Another platform runs on {Path.GetDirectoryName(path)}", "stop it first, or choose another folder with --data DIR"), e);
        }
    }
}
