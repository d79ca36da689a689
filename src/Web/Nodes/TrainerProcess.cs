using System.Runtime.CompilerServices;
using System.Text.Json;
using TokenMill.Shared;
using TokenMill.Shared.Jobs;

namespace TokenMill.Web.Nodes;

/// <summary>
/// One run of the trainer: an immutable spec in, typed events out. Every event carries <see cref="RunToken"/>;
/// one that does not is of another process and is dropped here.
/// </summary>
public sealed partial class TrainerProcess : IAsyncDisposable
{
    private readonly ChildProcess _child;
    private readonly ILogger _log;

    private TrainerProcess(ChildProcess child, string runToken, ILogger log) => (_child, RunToken, _log) = (child, runToken, log);

    public string RunToken { get; }
    public int Id => _child.Id;
    public Task<ChildExit> Exited => _child.Exited;

    public static TrainerProcess Start(ChildProgram program, string runToken, TimeProvider time, ILogger log) => new(ChildProcess.Start(program, time), runToken, log);

    /// <summary>Events in the order they happened, until the trainer closes its output.</summary>
    public async IAsyncEnumerable<TrainerEvent> EventsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var line in _child.LinesAsync(cancellationToken))
            if (Parse(line) is { } e) yield return e;
    }

    /// <summary>Asks for a checkpoint and an orderly end with a <see cref="PausedEvent"/>.</summary>
    public Task<bool> PauseAsync(CancellationToken cancellationToken) => _child.SendAsync("pause", cancellationToken);

    /// <summary>Asks for an end with a <see cref="CancelledEvent"/>.</summary>
    public Task<bool> CancelAsync(CancellationToken cancellationToken) => _child.SendAsync("cancel", cancellationToken);

    public Task<ChildExit> StopAsync(TimeSpan grace) => _child.StopAsync(grace);

    public ValueTask DisposeAsync() => _child.DisposeAsync();

    private TrainerEvent? Parse(string line)
    {
        try
        {
            var e = Json.Deserialize<TrainerEvent>(line);
            if (e.Run == RunToken) return e;
            LogForeignEvent(_log, Id);
        }
        catch (JsonException)
        {
            LogUnreadableLine(_log, Id, line.Length);        // never the line itself: it may hold rows or answers
        }
        return null;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Trainer process {ProcessId} wrote an event of another run; it was ignored")]
    private static partial void LogForeignEvent(ILogger logger, int processId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Trainer process {ProcessId} wrote a line of {Length} characters that is no event")]
    private static partial void LogUnreadableLine(ILogger logger, int processId, int length);
}
