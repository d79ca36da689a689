using TokenMill.Shared.Domain;
using TokenMill.Web.Accounts;
using TokenMill.Web.Jobs;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>Puts a paused or failed run back into the queue; it goes on from its last checkpoint.</summary>
public sealed class ResumeRun(JobQueue queue)
{
    public async Task<Result> HandleAsync(Actor actor, FineTuneRunId id, CancellationToken cancellationToken)
    {
        actor.Require(Role.Member);
        return await queue.FindForAsync(actor.WorkspaceId, JobKind.FineTune, id.Value, cancellationToken) is { } job
            ? await queue.ResumeAsync(actor.WorkspaceId, job.Id, cancellationToken)
            : RunNotFound.Error;
    }
}
