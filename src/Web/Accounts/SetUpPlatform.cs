using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Features.Models;

namespace TokenMill.Web.Accounts;

/// <summary>Makes the first workspace and its administrator, if the set-up token is right and nobody was first.</summary>
public sealed class SetUpPlatform(SetupToken token, PlatformDatabase database, UserManager<User> users, SignInManager<User> signIn, SeedStarterModel starter, TimeProvider time)
{
    public sealed record Command(string? Token, string WorkspaceName, string Name, string Email, string Password);

    public async Task<IReadOnlyList<Error>> HandleAsync(Command command, CancellationToken cancellationToken)
    {
        IReadOnlyList<Error> errors = [];
        var right = await token.UseAsync(command.Token, async () => (errors = await CreateAsync(command, cancellationToken)).Count == 0, cancellationToken);
        return right ? errors : [new Error("setup-link-invalid", "This set-up link is not valid any more", "use the link printed by the last start of the platform, or sign in")];
    }

    private async Task<IReadOnlyList<Error>> CreateAsync(Command command, CancellationToken cancellationToken)
    {
        if (Naming.Check(command.WorkspaceName) is { } badWorkspace) return [badWorkspace];
        if (Naming.Check(command.Name) is { } badName) return [badName];
        var now = time.GetUtcNow();
        var workspace = new Workspace(WorkspaceId.New(), command.WorkspaceName.Trim(), now);
        var user = new User
        {
            Id = UserId.New(), UserName = command.Email.Trim(), Email = command.Email.Trim(), EmailConfirmed = true,
            DisplayName = command.Name.Trim(), CreatedAt = now, WorkspaceId = workspace.Id,
        };
        // An earlier set-up that broke off may have left an account that belongs nowhere.
        await database.WriteAsync(WorkspaceScope.All, db => db.Users.Where(u => !db.Memberships.Any(m => m.UserId == u.Id)).ExecuteDeleteAsync(cancellationToken), cancellationToken);
        var created = await users.CreateAsync(user, command.Password);
        if (!created.Succeeded) return created.ToErrors();
        await database.WriteAsync(WorkspaceScope.All, db =>
        {
            db.AddRange(workspace, new Membership(workspace.Id, user.Id, Role.Administrator, now), new AuditEntry(workspace.Id, user.Id, "platform-set-up", workspace.Name, now));
            return Task.CompletedTask;
        }, cancellationToken);
        await starter.RunAsync(workspace.Id, cancellationToken);
        await signIn.SignInAsync(user, isPersistent: true);
        return [];
    }
}

public static class IdentityResultExtensions
{
    /// <summary>Identity's complaints in the platform's form; the description already says what to do.</summary>
    public static IReadOnlyList<Error> ToErrors(this IdentityResult result) =>
        [.. result.Errors.Select(e => new Error(System.Text.Json.JsonNamingPolicy.KebabCaseLower.ConvertName(e.Code), e.Description, ""))];
}
