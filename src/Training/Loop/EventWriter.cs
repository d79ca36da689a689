using TokenMill.Shared;
using TokenMill.Shared.Jobs;

namespace TokenMill.Training.Loop;

/// <summary>Writes events as JSON lines, each whole and flushed. Thread-safe: checkpoints are reported from the thread that wrote them.</summary>
public sealed class EventWriter(TextWriter output, TimeProvider time, string? run)
{
    private readonly Lock _lock = new();

    public void Write(TrainerEvent @event, int step)
    {
        var line = Json.Serialize(@event with { At = time.GetUtcNow(), Step = step, Run = run });
        lock (_lock)
        {
            output.WriteLine(line);
            output.Flush();
        }
    }
}
