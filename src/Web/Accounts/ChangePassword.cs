using System.Security.Claims;
using Microsoft.AspNetCore.Identity;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Accounts;

/// <summary>A person's own new password; every other sign-in of theirs ends.</summary>
public sealed class ChangePassword(UserManager<User> users, SignInManager<User> signIn)
{
    public sealed record Command(string Current, string New);

    public async Task<IReadOnlyList<Error>> HandleAsync(ClaimsPrincipal principal, Command command)
    {
        if (await users.GetUserAsync(principal) is not { DeactivatedAt: null } user) return [new Error("not-signed-in", "You are not signed in", "sign in again")];
        if (command.Current == command.New) return [new Error("password-unchanged", "The new password is the old one", "choose another")];
        var changed = await users.ChangePasswordAsync(user, command.Current, command.New);
        if (!changed.Succeeded) return changed.ToErrors();
        user.MustChangePassword = false;
        await users.UpdateAsync(user);
        await signIn.RefreshSignInAsync(user);
        return [];
    }
}
