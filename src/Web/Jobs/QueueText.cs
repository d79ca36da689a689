using Microsoft.Extensions.Localization;
using TokenMill.Shared.Domain;
using TokenMill.Web.Localisation;

namespace TokenMill.Web.Jobs;

/// <summary>Why a job is where it is and what comes next, in one sentence.</summary>
public static class QueueText
{
    public static string Why(QueueEntry entry, IStringLocalizer texts, Display display) => entry switch
    {
        { Job.Error: { } error, Job.State: JobState.Failed } => $"{texts[error.Message].Value.AsSentence()} {texts[error.Remedy].Value.AsSentence()}",
        { Job.State: JobState.Running, Progress: { } share } => texts["{0} done", display.Percent(share)],
        { Job.State: JobState.Running } => texts["Has just begun"],
        { Job.State: JobState.Waiting, Job.WaitingReason.Length: > 0 } => texts[entry.Job.WaitingReason],
        { Job.State: JobState.Waiting, Blocker: { } blocker, BlockerEndsAt: { } end } => texts["Waits until {0} ends, about {1}", blocker.Title, display.Time(end)],
        { Job.State: JobState.Waiting, Blocker: { } blocker } => texts["Waits until {0} ends", blocker.Title],
        { Job.State: JobState.Waiting } => texts["It starts in a moment"],
        { Job.State: JobState.Paused } => texts[entry.Job.WaitingReason],
        { Job: { State: JobState.Succeeded, StartedAt: { } from, FinishedAt: { } to } } => texts["Took {0}", display.Duration(to - from)],
        _ => "",
    };
}
