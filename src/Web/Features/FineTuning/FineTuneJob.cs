using System.Threading.Channels;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Jobs;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>
/// A fine-tune from the queue's side: one start of the trainer under a fresh run token, from the beginning or from the last
/// checkpoint, until it is finished, paused, cancelled or dead. Whatever happens to this process, the run in the database says
/// enough to go on: started again, it first settles what an earlier start left.
/// </summary>
public sealed partial class FineTuneJob(PlatformDatabase database, RunFolders folders, ITrainer trainer, RunPreflight preflight, RegisterResult register, CoreSharing cores, TimeProvider time, ILogger<FineTuneJob> log) : IJobHandler
{
    private static readonly TimeSpan ShutdownGrace = TimeSpan.FromSeconds(15), CancelGrace = TimeSpan.FromSeconds(30), StopGrace = TimeSpan.FromSeconds(6);

    /// <summary>How long a trainer that lost its portal may need to save and let go of the output folder.</summary>
    private static readonly TimeSpan LockedPause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan CrashPause = TimeSpan.FromSeconds(1);

    private const string StaleToken = "stale-run-token";

    public JobKind Kind => JobKind.FineTune;

    public async Task<JobOutcome> RunAsync(Job job, CancellationToken cancellationToken)
    {
        var id = FineTuneRunId.From(job.SubjectId);
        var run = await RecoverAsync(job, id);
        if (OutcomeOf(run) is { } already) return already;

        string? token = null;
        run = await ChangeAsync(job, id, r => { var started = r.Start(time.GetUtcNow()); token = started.Value; return started.Error is { } e ? e : Result.Ok; });
        if (token is null) return OutcomeOf(run) ?? throw new InvalidOperationException($"run {id} is {run.State} and cannot start");

        try
        {
            return await TrainAsync(job, run, token, cancellationToken);
        }
        catch (Exception e) when (e is not RefusedException { Error.Code: StaleToken })
        {
            // A fault of the platform's own (a full disk, a missing program) must not leave the run active without a process.
            LogBroken(log, e, run.Number);
            return await FailAsync(job, id, token, (e as RefusedException)?.Error ?? new Error("run-broken", $"The platform could not follow the run: {e.Message}", "correct the cause, then resume; the log of the portal has the details"));
        }
        catch (RefusedException)
        {
            LogFenced(log, run.Number);
            return OutcomeOf(await FindAsync(job, id)) ?? new JobOutcome.Interrupted();
        }
    }

    public async Task<Result> CancelAsync(Job job, CancellationToken cancellationToken) => await AskAsync(job, r => r.RequestCancel(time.GetUtcNow()), cancellationToken);

    public async Task<Result> PauseAsync(Job job, CancellationToken cancellationToken) => await AskAsync(job, r => r.RequestPause(), cancellationToken);

    public async Task<Result> ResumeAsync(Job job, CancellationToken cancellationToken) => await AskAsync(job, r => r.Resume(), cancellationToken);

    private async Task<JobOutcome> TrainAsync(Job job, FineTuneRun run, string token, CancellationToken cancellationToken)
    {
        var resumes = folders.HasState(run.Id);
        if (await preflight.CheckAsync(run, cancellationToken) is { } missing) return await FailAsync(job, run.Id, token, missing);

        var program = trainer.Program(await folders.SpecAsync(run, cancellationToken), token, resumes);
        await using var training = await cores.TrainingAsync();
        await using var process = TrainerProcess.Start(program, token, time, log);
        LogStarted(log, run.Number, process.Id, resumes);
        var recorder = new RunRecorder(database, time, run, token, folders.Journal(run.Id));
        var recording = recorder.RecordAsync(process.EventsAsync(CancellationToken.None));
        var obeying = ObeyAsync(job, run.Id, process);
        await WaitAsync(process, recording, cancellationToken);
        await obeying;
        await recording;
        return await SettleAsync(job, run.Id, token, recorder.LastWord, await process.Exited, cancellationToken);
    }

    /// <summary>An earlier process of ours may have ended while the run was active, or after the trainer's last word.</summary>
    private async Task<FineTuneRun> RecoverAsync(Job job, FineTuneRunId id)
    {
        var run = await FindAsync(job, id);
        if (run is not { IsActive: true, RunToken: { } token }) return run;
        await using var db = database.Open(job.WorkspaceId);
        var finished = await db.RunEvents.AnyAsync(e => e.RunId == id && e.Type == "finished");
        if (finished && await register.RunAsync(run, token) is { IsOk: true }) return await FindAsync(job, id);
        return await ChangeAsync(job, id, r => r.Interrupt(token, time.GetUtcNow()));
    }

    /// <summary>Until the trainer ended by itself; told to stop when the portal stops, or when its events can no longer be written.</summary>
    private async Task WaitAsync(TrainerProcess process, Task recording, CancellationToken cancellationToken)
    {
        var stopping = new TaskCompletionSource();
        await using var registration = cancellationToken.Register(stopping.SetResult);
        var first = await Task.WhenAny(process.Exited, recording, stopping.Task);
        if (first == stopping.Task)
        {
            await process.PauseAsync(CancellationToken.None);
            await Task.WhenAny(process.Exited, Task.Delay(ShutdownGrace, time, CancellationToken.None));
        }
        else if (first == recording && recording.IsCompletedSuccessfully)
        {
            await Task.WhenAny(process.Exited, Task.Delay(StopGrace, time, CancellationToken.None));     // it closed its output and is about to end
        }
        if (!process.Exited.IsCompleted) await process.StopAsync(StopGrace);
    }

    /// <summary>Passes on what a person asks for, until the trainer has ended.</summary>
    private async Task ObeyAsync(Job job, FineTuneRunId id, TrainerProcess process)
    {
        var asked = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        asked.Writer.TryWrite(true);                         // perhaps before the trainer was there
        using var subscription = database.Changes.Subscribe(job.WorkspaceId, types =>
        {
            if (types.Contains(typeof(FineTuneRun))) asked.Writer.TryWrite(true);
        });
        _ = process.Exited.ContinueWith(_ => asked.Writer.TryComplete(), TaskScheduler.Default);
        var obeyed = RunRequest.None;
        await foreach (var _ in asked.Reader.ReadAllAsync(CancellationToken.None))
        {
            var request = (await FindAsync(job, id)).Request;
            if (request == obeyed) continue;
            obeyed = request;
            if (request == RunRequest.Pause) await process.PauseAsync(CancellationToken.None);
            if (request != RunRequest.Cancel) continue;
            await process.CancelAsync(CancellationToken.None);
            await Task.WhenAny(process.Exited, Task.Delay(CancelGrace, time));
            if (!process.Exited.IsCompleted) await process.StopAsync(StopGrace);
        }
    }

    private async Task<JobOutcome> SettleAsync(Job job, FineTuneRunId id, string token, TrainerEvent? lastWord, ChildExit exit, CancellationToken cancellationToken)
    {
        var run = await FindAsync(job, id);
        switch (lastWord)
        {
            case FinishedEvent:
                if ((await register.RunAsync(run, token)).Error is { } error) return await FailAsync(job, id, token, error);
                break;
            case FailedEvent { Code: "output-locked" }:
                await ChangeAsync(job, id, r => r.Interrupt(token, time.GetUtcNow()));
                return OutcomeOf(await FindAsync(job, id)) ?? new JobOutcome.Lost("Waits until the trainer of its last start has saved and ended", LockedPause);
            case FailedEvent failed:
                return await FailAsync(job, id, token, new Error(failed.Code, failed.Message, failed.Remedy));
            case CancelledEvent:
                await ChangeAsync(job, id, r => r.Cancel(token, time.GetUtcNow()));
                break;
            case PausedEvent when run.Request == RunRequest.Pause:
                await ChangeAsync(job, id, r => r.Pause(token));
                break;
            case PausedEvent:
                await ChangeAsync(job, id, r => r.Interrupt(token, time.GetUtcNow()));
                return cancellationToken.IsCancellationRequested ? new JobOutcome.Interrupted() : OutcomeOf(await FindAsync(job, id)) ?? new JobOutcome.Lost("The trainer was told to stop from outside; it goes on from its checkpoint", CrashPause);
            case null when cancellationToken.IsCancellationRequested:
                await ChangeAsync(job, id, r => r.Interrupt(token, time.GetUtcNow()));
                return new JobOutcome.Interrupted();
            default:
                LogCrashed(log, run.Number, exit.Code);
                await ChangeAsync(job, id, r => r.Lose(token, Crash(exit, r), time.GetUtcNow()));
                break;
        }
        return OutcomeOf(await FindAsync(job, id)) ?? new JobOutcome.Lost($"The trainer stopped: {exit.Reason}. It goes on from its last checkpoint", CrashPause);
    }

    private static Error Crash(ChildExit exit, FineTuneRun run)
    {
        var last = exit.Stderr.Split('\n')[^1];
        return new Error("trainer-crashed", $"The trainer stopped without a word: {exit.Reason}{(last.Length == 0 ? "" : $" ({last})")}",
            exit.Code == 137 ? "choose a smaller batch or a shorter length if memory ran out, then resume"
            : run.Attempts < FineTuneRun.MaxAttempts ? "it is started again from its last checkpoint"
            : $"it happened {FineTuneRun.MaxAttempts} times in a row; change the settings, or resume to try again");
    }

    private async Task<JobOutcome> FailAsync(Job job, FineTuneRunId id, string token, Error error)
    {
        await ChangeAsync(job, id, r => r.Fail(token, error, time.GetUtcNow()));
        return new JobOutcome.Failed(error);
    }

    /// <summary>What the queue should know, or null while there is something left to do.</summary>
    private static JobOutcome? OutcomeOf(FineTuneRun run) => run.State switch
    {
        FineTuneRunState.Succeeded => new JobOutcome.Succeeded(),
        FineTuneRunState.Failed => new JobOutcome.Failed(run.Error ?? new Error("run-failed", "The run failed", "")),
        FineTuneRunState.Cancelled => new JobOutcome.Cancelled(),
        FineTuneRunState.Paused => new JobOutcome.Paused("Paused; resume it to go on from its checkpoint"),
        _ => null,
    };

    private async Task<FineTuneRun> FindAsync(Job job, FineTuneRunId id)
    {
        await using var db = database.Open(job.WorkspaceId);
        return await db.FineTuneRuns.AsNoTracking().FirstAsync(r => r.Id == id);
    }

    private Task<FineTuneRun> ChangeAsync(Job job, FineTuneRunId id, Func<FineTuneRun, Result> change) => database.WriteAsync(job.WorkspaceId, async db =>
    {
        var current = await db.FineTuneRuns.FirstAsync(r => r.Id == id);
        change(current);                                     // refused: someone was faster, and the state tells the caller
        return current;
    }, CancellationToken.None);

    private async Task<Result> AskAsync(Job job, Func<FineTuneRun, Result> ask, CancellationToken cancellationToken)
    {
        var id = FineTuneRunId.From(job.SubjectId);
        return await database.TryWriteAsync(job.WorkspaceId, async db => ask(await db.FineTuneRuns.FirstAsync(r => r.Id == id, cancellationToken)), cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Run #{Number}: trainer process {ProcessId} started, resumed: {Resumed}")]
    private static partial void LogStarted(ILogger logger, int number, int processId, bool resumed);

    [LoggerMessage(Level = LogLevel.Error, Message = "Run #{Number}: the platform could not follow it")]
    private static partial void LogBroken(ILogger logger, Exception exception, int number);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Run #{Number}: the trainer ended without a last word, exit code {Code}")]
    private static partial void LogCrashed(ILogger logger, int number, int code);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Run #{Number}: another process writes for it now; this one was ended")]
    private static partial void LogFenced(ILogger logger, int number);
}
