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
/// from step s, what an earlier process said after s is removed, since it will be said again.
/// </summary>
internal sealed class RunRecorder(PlatformDatabase database, TimeProvider time, FineTuneRun run, string token)
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
            if (e is StartedEvent)
            {
                await db.SaveChangesAsync();                 // so that the removal sees what this batch brought before
                await db.RunEvents.Where(old => old.RunId == run.Id && old.Step > e.Step).ExecuteDeleteAsync();
            }
            db.RunEvents.Add(new RunEvent(run.WorkspaceId, run.Id, ++sequence, NameOf(e), e.Step, Json.Serialize(e), e.At));
        }
        return Result.Ok;
    }

    private static string NameOf(TrainerEvent e) => e.GetType().Name[..^"Event".Length].ToLowerInvariant();
}
