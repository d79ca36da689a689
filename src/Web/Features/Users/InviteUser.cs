using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.Users;

/// <summary>Lets a person into the workspace with a password that must be changed at the first sign-in.</summary>
public sealed class InviteUser(IServiceScopeFactory scopes, PlatformDatabase database, TimeProvider time)
{
    public sealed record Command(string Name, string Email, Role Role);

    public sealed record Invited(UserId Id, string Email, string Password);

    public async Task<Result<Invited>> HandleAsync(Actor actor, Command command, CancellationToken cancellationToken)
    {
        actor.Require(Role.Administrator);
        if (Naming.Check(command.Name) is { } badName) return badName;
        var now = time.GetUtcNow();
        var email = command.Email.Trim();
        var user = new User
        {
            Id = UserId.New(), UserName = email, Email = email, EmailConfirmed = true, DisplayName = command.Name.Trim(),
            CreatedAt = now, WorkspaceId = actor.WorkspaceId, MustChangePassword = true,
        };
        var password = OneTimePassword.New();
        await using var scope = scopes.CreateAsyncScope();
        var users = scope.ServiceProvider.GetRequiredService<UserManager<User>>();
        var created = await users.CreateAsync(user, password);
        if (!created.Succeeded) return created.ToErrors()[0];
        await database.WriteAsync(actor.WorkspaceId, db =>
        {
            db.Add(new Membership(actor.WorkspaceId, user.Id, command.Role, now));
            db.Add(new AuditEntry(actor.WorkspaceId, actor.UserId, "user-invited", $"{email} as {command.Role.ToString().ToLowerInvariant()}", now));
            return Task.CompletedTask;
        }, cancellationToken);
        return new Invited(user.Id, email, password);
    }
}

internal static class WorkspacePeople
{
    public static Error NotFound { get; } = new("user-not-found", "There is no such person in this workspace", "reload the page");

    /// <summary>A workspace without an administrator could never get one again.</summary>
    public static async Task<Error?> WhyNotWithoutAsync(this PlatformDbContext db, UserId user, CancellationToken cancellationToken)
    {
        var others = await db.Memberships.Where(m => m.Role == Role.Administrator && m.UserId != user).Join(db.Users.Where(u => u.DeactivatedAt == null), m => m.UserId, u => u.Id, (m, u) => m).AnyAsync(cancellationToken);
        return others ? null : new Error("last-administrator", "This is the last administrator of the workspace", "make another person administrator first");
    }
}
