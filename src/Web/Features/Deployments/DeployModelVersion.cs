using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.Deployments;

/// <summary>Puts a model version behind a name: one click. The supervisor does the rest.</summary>
public sealed class DeployModelVersion(PlatformDatabase database, DeploymentSupervisor supervisor, TimeProvider time)
{
    public sealed record Command(ModelVersionId ModelVersionId, string? Name, DeploymentOptions Options);

    public async Task<Result<DeploymentId>> RunAsync(Actor actor, Command command, CancellationToken cancellationToken)
    {
        actor.Require(Role.Member);
        if (command.Options.Check() is { } wrong) return wrong;
        var result = await database.WriteAsync<Result<DeploymentId>>(actor.WorkspaceId, async db =>
        {
            var version = await db.ModelVersions.Where(v => v.Id == command.ModelVersionId)
                .Join(db.Models, v => v.ModelId, m => m.Id, (v, m) => new { v.Number, m.Name }).SingleOrDefaultAsync(cancellationToken);
            if (version is null) return new Error("model-not-found", "There is no such model version", "reload the page and choose another");
            var name = string.IsNullOrWhiteSpace(command.Name) ? DefaultName(version.Name, version.Number) : command.Name.Trim();
            if (Naming.Check(name) is { } badName) return badName;
            if (await db.Deployments.AnyAsync(d => d.Name == name && d.DeletedAt == null, cancellationToken))
                return new Error("name-taken", $"A deployment named {name} exists", "choose another name");
            var now = time.GetUtcNow();
            var deployment = new Deployment(DeploymentId.New(), actor.WorkspaceId, name, command.ModelVersionId, Json.Serialize(command.Options), actor.UserId, now);
            deployment.Start(now);
            db.Deployments.Add(deployment);
            db.AuditEntries.Add(new AuditEntry(actor.WorkspaceId, actor.UserId, "deployment-created", $"{deployment.Id} {name}", now));
            return deployment.Id;
        }, cancellationToken);
        if (result.IsOk) supervisor.Wake();
        return result;
    }

    /// <summary>API names are typed by people: lower case, no blanks.</summary>
    public static string DefaultName(string model, int number) =>
        string.Join('-', $"{model} v{number}".ToLowerInvariant().Split([' ', '_', '/', '#'], StringSplitOptions.RemoveEmptyEntries));
}
