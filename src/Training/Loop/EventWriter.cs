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
    public void KeepIn(string path)
    {
        var journal = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        journal.SetLength(EndOfLastLine(journal));           // a kill or a full disk may have cut the last line short
        journal.Seek(0, SeekOrigin.End);
        _journal = journal;
    }

    public void Write(TrainerEvent @event, int step)
    {
        var line = Json.Serialize(@event with { At = time.GetUtcNow(), Step = step, Run = run });
        lock (_lock)
        {
            if (_journal is not null)
            {
                try
                {
                    _journal.Write(Encoding.UTF8.GetBytes(line + "\n"));
                    _journal.Flush();
                }
                catch (IOException) when (@event is FailedEvent)
                {
                    // The disk that takes no more is what the event tells of; it must still be said.
                }
            }
            output.WriteLine(line);
            output.Flush();
        }
    }

    public void Dispose()
    {
        try
        {
            _journal?.Dispose();
        }
        catch (IOException)
        {
            // What is still in the buffer has been refused before.
        }
    }

    private static long EndOfLastLine(FileStream file)
    {
        for (var end = file.Length; end > 0; end--)
        {
            file.Position = end - 1;
            if (file.ReadByte() == '\n') return end;
        }
        return 0;
    }
}
