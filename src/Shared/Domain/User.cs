using Microsoft.AspNetCore.Identity;

namespace TokenMill.Shared.Domain;

/// <summary>A person who signs in. What they may do is said by their <see cref="Membership"/> of a workspace, not here.</summary>
public sealed class User : IdentityUser<UserId>
{
    public string DisplayName { get; set; } = "";
    public DateTimeOffset CreatedAt { get; set; }

    /// <summary>The workspace this person works in now; one of their memberships.</summary>
    public WorkspaceId? WorkspaceId { get; set; }

    /// <summary>Set: this person cannot sign in, and what is open ends at the next action.</summary>
    public DateTimeOffset? DeactivatedAt { get; set; }

    /// <summary>The password was chosen by an administrator and is good for one sign-in.</summary>
    public bool MustChangePassword { get; set; }
}
