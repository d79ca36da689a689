using System.Text;
using TokenMill.Shared;
using TokenMill.Shared.Jobs;

namespace TokenMill.Training.Loop;

/// <summary>Writes events as JSON lines, each whole and flushed. Thread-safe: checkpoints are reported from the thread that wrote them.</summary>
public sealed class EventWriter(TextWriter output, TimeProvider time, string? run) : IDisposable
{
    private readonly Lock _lock = new();
    private FileStream? _journal;

    /// <summary>
    /// From here on every event is also kept in a file: whoever reads the output may die in the middle of a step, and must be able
    /// to learn afterwards what was said between its last word and the checkpoint that the run goes on from.
    /// </summary>
    public void KeepIn(string path) => _journal = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read);

    public void Write(TrainerEvent @event, int step)
    {
        var line = Json.Serialize(@event with { At = time.GetUtcNow(), Step = step, Run = run });
        lock (_lock)
        {
            if (_journal is not null)
            {
                _journal.Write(Encoding.UTF8.GetBytes(line + "\n"));
                _journal.Flush();
            }
            output.WriteLine(line);
            output.Flush();
        }
    }

    public void Dispose() => _journal?.Dispose();
}
