using Microsoft.AspNetCore.Authorization;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Accounts;

/// <summary>Names for <c>[Authorize(Policies.Member)]</c> on pages and <c>RequireAuthorization(Policies.Member)</c> on endpoints. Without one, a viewer is needed.</summary>
public static class Policies
{
    public const string Viewer = nameof(Role.Viewer);
    public const string Member = nameof(Role.Member);
    public const string Administrator = nameof(Role.Administrator);

    public static void Add(AuthorizationOptions options)
    {
        foreach (var role in Enum.GetValues<Role>()) options.AddPolicy(role.ToString(), policy => policy.RequireAuthenticatedUser().AddRequirements(new RoleRequirement(role)));
        options.DefaultPolicy = options.FallbackPolicy = options.GetPolicy(Viewer)!;
    }
}

/// <summary>The role in the current workspace, looked up in the database each time.</summary>
public sealed record RoleRequirement(Role Minimum) : IAuthorizationRequirement;

public sealed class RoleHandler(Access access) : AuthorizationHandler<RoleRequirement>
{
    protected override async Task HandleRequirementAsync(AuthorizationHandlerContext context, RoleRequirement requirement)
    {
        if (await access.FindAsync(context.User, CancellationToken.None) is { } actor && actor.May(requirement.Minimum)) context.Succeed(requirement);
    }
}
