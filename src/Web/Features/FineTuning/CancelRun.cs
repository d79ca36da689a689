using TokenMill.Shared.Domain;
using TokenMill.Web.Accounts;
using TokenMill.Web.Jobs;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>Ends a run for good. What it has told so far stays readable; it makes no model.</summary>
public sealed class CancelRun(JobQueue queue)
{
    public async Task<Result> HandleAsync(Actor actor, FineTuneRunId id, CancellationToken cancellationToken)
    {
        actor.Require(Role.Member);
        return await queue.FindForAsync(actor.WorkspaceId, JobKind.FineTune, id.Value, cancellationToken) is { } job
            ? await queue.CancelAsync(actor.WorkspaceId, job.Id, cancellationToken)
            : RunNotFound.Error;
    }
}
