using TokenMill.Shared.Domain;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>Where a run keeps its files: <c>runs/ID/spec.json</c>, never changed, and <c>runs/ID/output</c>, the trainer's own.</summary>
public sealed class RunFolders(DataDirectory data)
{
    public string Output(FineTuneRunId id) => Path.Combine(Folder(id), "output");

    /// <summary>Every event of all its starts, as the trainer keeps them beside its output.</summary>
    public string Journal(FineTuneRunId id) => Path.Combine(Output(id), "events.jsonl");

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

    private string Folder(FineTuneRunId id) => Path.Combine(data.Runs, id.ToString());
}
