using Microsoft.AspNetCore.Components.Authorization;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Accounts;

/// <summary>The person in front of a page. Ask before each reading and each action: the answer is of now, not of when the page was opened.</summary>
public sealed class CurrentUser(AuthenticationStateProvider authentication, Access access)
{
    public async Task<Actor> RequireAsync(Role minimum = Role.Viewer, CancellationToken cancellationToken = default) =>
        await access.RequireAsync((await authentication.GetAuthenticationStateAsync()).User, minimum, cancellationToken);

    public async Task<Actor?> FindAsync(CancellationToken cancellationToken = default) =>
        await access.FindAsync((await authentication.GetAuthenticationStateAsync()).User, cancellationToken);
}
