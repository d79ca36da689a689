using TokenMill.Shared.Domain;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>Where a run keeps its files: <c>runs/ID/spec.json</c>, never changed, and <c>runs/ID/output</c>, the trainer's own.</summary>
public sealed class RunFolders(string dataFolder)
{
    public string Root => dataFolder;

    public string Output(FineTuneRunId id) => Path.Combine(Folder(id), "output");

    public bool HasState(FineTuneRunId id) => Directory.Exists(Output(id)) && Directory.EnumerateFileSystemEntries(Output(id)).Any();

    /// <summary>The file for the trainer, written once; the database has the same text.</summary>
    public async Task<string> SpecAsync(FineTuneRun run, CancellationToken cancellationToken)
    {
        var path = Path.Combine(Folder(run.Id), "spec.json");
        if (File.Exists(path)) return path;
        Directory.CreateDirectory(Folder(run.Id));
        var temporary = path + ".new";
        await File.WriteAllTextAsync(temporary, run.SpecJson, cancellationToken);
        File.Move(temporary, path, overwrite: true);
        return path;
    }

    /// <summary>As kept in the database: relative to the data directory where it lies inside.</summary>
    public string Relative(string path) => Path.GetFullPath(path).StartsWith(dataFolder + Path.DirectorySeparatorChar, StringComparison.Ordinal) ? Path.GetRelativePath(dataFolder, path) : Path.GetFullPath(path);

    public string Absolute(string path) => Path.GetFullPath(path, dataFolder);

    private string Folder(FineTuneRunId id) => Path.Combine(dataFolder, "runs", id.ToString());
}
