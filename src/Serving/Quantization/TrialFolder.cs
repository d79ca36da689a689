namespace TokenMill.Serving.Quantization;

/// <summary>
/// A folder for files that a trial needs only while it runs. It is deleted with its owner; what a killed owner left is deleted by the next one,
/// which a lock beside the folder tells from one that is still in use.
/// </summary>
internal sealed class TrialFolder : IDisposable
{
    private readonly FileStream _lock;

    private TrialFolder(string path, FileStream @lock) => (Path, _lock) = (path, @lock);

    public string Path { get; }

    public static TrialFolder Create(string parent)
    {
        Directory.CreateDirectory(parent);
        foreach (var left in Directory.GetDirectories(parent, "trial-*")) DeleteUnlessInUse(left);
        var path = System.IO.Path.Combine(parent, $"trial-{Guid.NewGuid():N}");
        var folder = new TrialFolder(path, Lock(path));
        Directory.CreateDirectory(path);
        return folder;
    }

    public void Dispose()
    {
        if (Directory.Exists(Path)) Directory.Delete(Path, recursive: true);
        _lock.Dispose();
    }

    private static void DeleteUnlessInUse(string path)
    {
        try
        {
            new TrialFolder(path, Lock(path)).Dispose();
        }
        catch (IOException)
        {
            // Another process measures there.
        }
    }

    private static FileStream Lock(string path) => new(path + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
}
