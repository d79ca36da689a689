using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats;

namespace TokenMill.Training.Loop;

/// <summary>
/// The folder of a run, held by one trainer at a time:
/// <code>
/// spec.json            the specification the run was started with
/// events.jsonl         every event of all its starts
/// checkpoints/step-N/  what a resumed run goes on from
/// best/step-N/         the parameters with the lowest validation loss, where they are asked for
/// reference.bin        what the model thought of the pairs before training (DPO)
/// adapter/ …           what the run made
/// </code>
/// </summary>
public sealed class OutputFolder : IDisposable
{
    private const string LockName = ".lock";

    private readonly FileStream _lock;

    private OutputFolder(string path, FileStream held) => (Path, _lock) = (path, held);

    public string Path { get; }
    public string Journal => System.IO.Path.Combine(Path, "events.jsonl");
    public string Best => System.IO.Path.Combine(Path, "best");
    public string Reference => System.IO.Path.Combine(Path, "reference.bin");
    public string Checkpoints => System.IO.Path.Combine(Path, "checkpoints");

    /// <exception cref="RefusedException">output-locked, output-not-empty, spec-changed.</exception>
    public static OutputFolder Open(string path, string spec, bool resume)
    {
        Directory.CreateDirectory(path);
        var folder = new OutputFolder(path, Hold(path));
        try
        {
            folder.Claim(spec, resume);
            return folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    public void Dispose() => _lock.Dispose();

    private static FileStream Hold(string path)
    {
        try
        {
            return new FileStream(System.IO.Path.Combine(path, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (File.Exists(System.IO.Path.Combine(path, LockName)))
        {
            throw new RefusedException(new Error("output-locked", $"another trainer works in {path}", "wait for it to end, or choose another output folder"), e);
        }
    }

    private void Claim(string spec, bool resume)
    {
        var specPath = System.IO.Path.Combine(Path, "spec.json");
        var entries = Directory.EnumerateFileSystemEntries(Path).Where(entry => System.IO.Path.GetFileName(entry) != LockName);
        if (!resume && entries.Any())
            throw new RefusedException("output-not-empty", $"output: {Path} is not empty", "choose a new folder, or --resume to go on with the run in it");
        foreach (var abandoned in Directory.EnumerateFiles(Path, "*.tmp", SearchOption.AllDirectories)) File.Delete(abandoned);       // of a trainer that was killed while it wrote
        if (!File.Exists(specPath)) AtomicFile.Write(specPath, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(spec)));
        else if (File.ReadAllText(specPath) != spec)
            throw new RefusedException("spec-changed", "the run in this folder was started with another specification", "resume with the specification it was started with, or choose a new output folder");
    }
}
