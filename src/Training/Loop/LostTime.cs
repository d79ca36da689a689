using TokenMill.Shared;
using TokenMill.Shared.Jobs;

namespace TokenMill.Training.Loop;

/// <summary>
/// Time that earlier processes of a run spent after the checkpoint it goes on from: their work is done again, so it is wall time without effect.
/// The journal knows it; pauses between two processes do not count.
/// </summary>
internal static class LostTime
{
    public static double Seconds(string journal)
    {
        if (!File.Exists(journal)) return 0;
        var since = new List<string>();
        foreach (var line in File.ReadLines(journal))
        {
            if (line.StartsWith("{\"type\":\"checkpoint\"", StringComparison.Ordinal)) since.Clear();
            since.Add(line);
        }
        var seconds = 0.0;
        DateTimeOffset? before = null;
        foreach (var @event in since.Select(Json.Deserialize<TrainerEvent>))
        {
            if (before is { } earlier && @event is not (StartedEvent or WarningEvent)) seconds += (@event.At - earlier).TotalSeconds;
            before = @event.At;
        }
        return seconds;
    }
}
