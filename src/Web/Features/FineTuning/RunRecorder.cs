using System.Threading.Channels;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>
/// Writes what a trainer says into the database: every event once, in order, a few times a second in one transaction each,
/// and only while its run token is the run's. History is what a run without interruption would have left: when a trainer goes on
/// from step s, what an earlier one said after s is removed, since it will be said again, and what it said up to s to a portal
/// that was gone by then is taken from its journal.
/// </summary>
internal sealed class RunRecorder(PlatformDatabase database, TimeProvider time, FineTuneRun run, string token, string journalPath)
{
    private static readonly TimeSpan FlushInterval = TimeSpan.FromMilliseconds(200);
    private const int MaxBatch = 500;

    private readonly Channel<TrainerEvent> _events = Channel.CreateBounded<TrainerEvent>(new BoundedChannelOptions(2 * MaxBatch) { SingleReader = true, SingleWriter = true });

    /// <summary>The trainer's last word, if it had one: finished, failed, paused or cancelled.</summary>
    public TrainerEvent? LastWord { get; private set; }

    /// <summary>Records until the trainer closes its output. A stale token ends it with a <see cref="RefusedException"/>.</summary>
    public async Task RecordAsync(IAsyncEnumerable<TrainerEvent> events)
    {
        using var broken = new CancellationTokenSource();
        var writing = WriteAsync(broken);
        try
        {
            await foreach (var e in events.WithCancellation(broken.Token)) await _events.Writer.WriteAsync(e, broken.Token);
        }
        catch (OperationCanceledException) when (broken.IsCancellationRequested)
        {
            // The writer failed; its exception comes next.
        }
        _events.Writer.Complete();
        await writing;
    }

    private async Task WriteAsync(CancellationTokenSource broken)
    {
        try
        {
            while (await _events.Reader.WaitToReadAsync())
            {
                var batch = new List<TrainerEvent>();
                while (batch.Count < MaxBatch && _events.Reader.TryRead(out var e)) batch.Add(e);
                (await database.TryWriteAsync(run.WorkspaceId, db => ApplyAsync(db, batch), CancellationToken.None)).OrThrow();
                LastWord = batch.LastOrDefault(e => e is FinishedEvent or FailedEvent or PausedEvent or CancelledEvent) ?? LastWord;
                await Task.Delay(FlushInterval, time);
            }
        }
        catch
        {
            await broken.CancelAsync();
            throw;
        }
    }

    private async Task<Result> ApplyAsync(PlatformDbContext db, IReadOnlyList<TrainerEvent> batch)
    {
        var current = await db.FineTuneRuns.FirstAsync(r => r.Id == run.Id);
        var sequence = await db.RunEvents.Where(e => e.RunId == run.Id).MaxAsync(e => (long?)e.Sequence) ?? 0;
        foreach (var e in batch)
        {
            var applied = e switch
            {
                StartedEvent s => current.Run(token, s.TotalSteps),
                StepEvent s => current.RecordStep(token, s.Step, s.Loss, s.TokensPerSecond, s.RemainingSeconds),
                ValidationEvent v => current.RecordValidation(token, v.Loss),
                CheckpointEvent => current.RecordCheckpoint(token),
                _ => current.Accept(token),
            };
            if (!applied.IsOk) return applied;
            if (e is StartedEvent begun)
            {
                await db.SaveChangesAsync();                 // so that what follows sees what this batch brought before
                await RemoveRepeatedAsync(db, begun);
                foreach (var missed in await MissedAsync(db, begun))
                {
                    if (missed is CheckpointEvent) current.RecordCheckpoint(token).OrThrow();
                    Add(missed);
                }
            }
            Add(e);
        }
        return Result.Ok;

        void Add(TrainerEvent e) => db.RunEvents.Add(new RunEvent(run.WorkspaceId, run.Id, ++sequence, NameOf(e), e.Step, Json.Serialize(e), e.At));
    }

    /// <summary>What this trainer says again: every later step, and an evaluation or an export that was due where it goes on; from the beginning everything.</summary>
    private Task RemoveRepeatedAsync(PlatformDbContext db, StartedEvent begun) => db.RunEvents.Where(old => old.RunId == run.Id
        && (begun.Step == 0 || old.Step > begun.Step || old.Step == begun.Step && (old.Type == "validation" || old.Type == "sample" || old.Type == "export"))).ExecuteDeleteAsync();

    /// <summary>Steps, evaluations and checkpoints up to the step it goes on from that are in the trainer's journal only, in their order.</summary>
    private async Task<IReadOnlyList<TrainerEvent>> MissedAsync(PlatformDbContext db, StartedEvent begun)
    {
        if (begun.Step == 0 || !File.Exists(journalPath)) return [];
        var known = (await db.RunEvents.AsNoTracking().Where(e => e.RunId == run.Id && e.Step > 0).Select(e => e.Json).ToListAsync()).Select(json => KeyOf(Json.Deserialize<TrainerEvent>(json))).ToHashSet();
        var missed = new Dictionary<(string, int, string?), TrainerEvent>();
        using var journal = new StreamReader(new FileStream(journalPath, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        while (await journal.ReadLineAsync() is { } line)
        {
            if (ParseOrNull(line) is not { } e || e is not (StepEvent or ValidationEvent or SampleEvent or CheckpointEvent)) continue;
            var isOver = e is StepEvent or CheckpointEvent ? e.Step <= begun.Step : e.Step < begun.Step;
            if (e.Step > 0 && isOver && !known.Contains(KeyOf(e))) missed[KeyOf(e)] = e;
        }
        return [.. missed.Values.OrderBy(e => e.Step)];
    }

    /// <summary>What makes two events the same one said twice.</summary>
    private static (string, int, string?) KeyOf(TrainerEvent e) => (NameOf(e), e.Step, (e as SampleEvent)?.Prompt);

    private static TrainerEvent? ParseOrNull(string line)
    {
        try
        {
            return Json.Deserialize<TrainerEvent>(line);
        }
        catch (System.Text.Json.JsonException)
        {
            return null;                                     // the last line of a process that was killed while it wrote
        }
    }

    private static string NameOf(TrainerEvent e) => e.GetType().Name[..^"Event".Length].ToLowerInvariant();
}
