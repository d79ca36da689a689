using TokenMill.Shared.Domain;
using TokenMill.Web.Accounts;
using TokenMill.Web.Jobs;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>Lets a run save its state and wait. In the queue it waits at once; a running one as soon as its trainer has saved.</summary>
public sealed class PauseRun(JobQueue queue)
{
    public async Task<Result> HandleAsync(Actor actor, FineTuneRunId id, CancellationToken cancellationToken)
    {
        actor.Require(Role.Member);
        return await queue.FindForAsync(actor.WorkspaceId, JobKind.FineTune, id.Value, cancellationToken) is { } job
            ? await queue.PauseAsync(actor.WorkspaceId, job.Id, $"Paused by {actor.Name}", cancellationToken)
            : RunNotFound.Error;
    }
}
