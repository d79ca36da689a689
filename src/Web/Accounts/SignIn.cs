using Microsoft.AspNetCore.Identity;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Accounts;

/// <summary>Lets a person in. Wrong name, wrong password and deactivated look the same from outside, and take the same time.</summary>
public sealed class SignIn(UserManager<User> users, SignInManager<User> signIn, IPasswordHasher<User> hasher)
{
    private static readonly User Nobody = new();
    private static string? _nobodysHash;

    private static readonly Error Wrong = new("sign-in-failed", "E-mail or password is wrong", "try again, or ask an administrator for a new password");

    public sealed record Command(string Email, string Password, bool Remember);

    public async Task<Result> HandleAsync(Command command)
    {
        var user = await users.FindByEmailAsync(command.Email.Trim());
        if (user is null)
        {
            hasher.VerifyHashedPassword(Nobody, _nobodysHash ??= hasher.HashPassword(Nobody, "nobody"), command.Password);
            return Wrong;
        }
        var checkedPassword = await signIn.CheckPasswordSignInAsync(user, command.Password, lockoutOnFailure: true);
        if (checkedPassword.IsLockedOut) return new Error("locked-out", "Too many wrong passwords", "wait ten minutes, or ask an administrator for a new password");
        if (!checkedPassword.Succeeded || user.DeactivatedAt is not null) return Wrong;
        await signIn.SignInAsync(user, command.Remember);
        return Result.Ok;
    }
}
