using TokenMill.Shared.Domain;

namespace TokenMill.Web.Jobs;

/// <summary>How one start of a job ended, for the queue.</summary>
public abstract record JobOutcome
{
    public sealed record Succeeded : JobOutcome;

    /// <summary>Trying again would end the same way.</summary>
    public sealed record Failed(Error Error) : JobOutcome;

    public sealed record Cancelled : JobOutcome;

    /// <summary>Waits for a person to resume it.</summary>
    public sealed record Paused(string Reason) : JobOutcome;

    /// <summary>Its process died; it is tried again after a pause.</summary>
    public sealed record Lost(string Reason, TimeSpan Pause) : JobOutcome;

    /// <summary>The portal stops; the job goes on when it starts again.</summary>
    public sealed record Interrupted : JobOutcome;
}
