using TokenMill.Shared.Domain;

namespace TokenMill.Web.Jobs;

/// <summary>
/// Does the work of one kind of job. Work is started at least once: after a crash <see cref="RunAsync"/> is called again for the
/// same job and goes on with what is missing.
/// </summary>
public interface IJobHandler
{
    JobKind Kind { get; }

    /// <summary>Works until the subject is done, paused, lost … When the token is cancelled the portal is stopping: save, end, answer <see cref="JobOutcome.Interrupted"/>.</summary>
    Task<JobOutcome> RunAsync(Job job, CancellationToken cancellationToken);

    /// <summary>Notes on the subject that it shall end; a running <see cref="RunAsync"/> sees it and obeys.</summary>
    Task<Result> CancelAsync(Job job, CancellationToken cancellationToken);

    /// <summary>Notes on the subject that it shall pause. Only what can be saved half way can pause.</summary>
    Task<Result> PauseAsync(Job job, CancellationToken cancellationToken) => Task.FromResult<Result>(NotPausable);

    /// <summary>Puts the subject of a paused or failed job back to where <see cref="RunAsync"/> can go on.</summary>
    Task<Result> ResumeAsync(Job job, CancellationToken cancellationToken) => Task.FromResult<Result>(NotPausable);

    private static Error NotPausable => new("job-not-pausable", "This kind of job cannot be paused", "cancel it and start it again later");
}
