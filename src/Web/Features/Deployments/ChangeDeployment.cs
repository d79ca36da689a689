using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.Deployments;

/// <summary>Starts, stops or deletes a deployment. Requests that run when it stops end with what they have.</summary>
public sealed class ChangeDeployment(PlatformDatabase database, DeploymentSupervisor supervisor, TimeProvider time)
{
    public enum Change { Start, Stop, Delete, MakeVariant }

    public sealed record Command(DeploymentId DeploymentId, Change Change);

    public async Task<Result> RunAsync(Actor actor, Command command, CancellationToken cancellationToken)
    {
        actor.Require(Role.Member);
        var result = await database.TryWriteAsync(actor.WorkspaceId, async db =>
        {
            var deployment = await db.Deployments.SingleOrDefaultAsync(d => d.Id == command.DeploymentId && d.DeletedAt == null, cancellationToken);
            if (deployment is null) return new Error("deployment-not-found", "There is no such deployment", "reload the page");
            var now = time.GetUtcNow();
            switch (command.Change)
            {
                case Change.Start: deployment.Start(now); break;
                case Change.Stop: deployment.Stop(); break;
                case Change.Delete: deployment.Delete(now); break;
                case Change.MakeVariant: deployment.ChangeOptions(Json.Serialize(DeploymentOptions.Parse(deployment.OptionsJson) with { MakesVariant = true })); break;
            }
            db.AuditEntries.Add(new AuditEntry(actor.WorkspaceId, actor.UserId, $"deployment-{command.Change.ToString().ToLowerInvariant()}", $"{deployment.Id} {deployment.Name}", now));
            return Result.Ok;
        }, cancellationToken);
        if (result.IsOk && command.Change == Change.MakeVariant) supervisor.Restart(command.DeploymentId);
        if (result.IsOk) supervisor.Wake();
        return result;
    }
}
