using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.Users;

/// <summary>A new one-time password for a person who lost theirs; also ends a lockout.</summary>
public sealed class ResetPassword(IServiceScopeFactory scopes, PlatformDatabase database, TimeProvider time)
{
    public async Task<Result<InviteUser.Invited>> HandleAsync(Actor actor, UserId id, CancellationToken cancellationToken)
    {
        actor.Require(Role.Administrator);
        await using (var db = database.Open(actor.WorkspaceId))
            if (!await db.Memberships.AnyAsync(m => m.UserId == id, cancellationToken)) return WorkspacePeople.NotFound;

        await using var scope = scopes.CreateAsyncScope();
        var users = scope.ServiceProvider.GetRequiredService<UserManager<User>>();
        if (await users.FindByIdAsync(id.ToString()) is not { } user) return WorkspacePeople.NotFound;
        var password = OneTimePassword.New();
        var reset = await users.ResetPasswordAsync(user, await users.GeneratePasswordResetTokenAsync(user), password);
        if (!reset.Succeeded) return reset.ToErrors()[0];
        user.MustChangePassword = true;
        await users.SetLockoutEndDateAsync(user, null);
        await users.UpdateAsync(user);
        await database.WriteAsync(actor.WorkspaceId, db =>
        {
            db.Add(new AuditEntry(actor.WorkspaceId, actor.UserId, "password-reset", user.Email ?? "", time.GetUtcNow()));
            return Task.CompletedTask;
        }, cancellationToken);
        return new InviteUser.Invited(user.Id, user.Email ?? "", password);
    }
}
