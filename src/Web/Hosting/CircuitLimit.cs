using System.Collections.Concurrent;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.AspNetCore.Components.Server.Circuits;
using TokenMill.Shared.Domain;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Hosting;

/// <summary>How many live pages one person may hold: each costs the server memory, also for a while after its tab is gone.</summary>
public sealed class CircuitLimit
{
    public const int PerUser = 30;

    private readonly ConcurrentDictionary<UserId, int> _open = new();

    public bool IsFull(UserId user) => _open.TryGetValue(user, out var open) && open >= PerUser;

    private bool TryEnter(UserId user)
    {
        if (_open.AddOrUpdate(user, 1, (_, open) => open + 1) <= PerUser) return true;
        Leave(user);
        return false;
    }

    private void Leave(UserId user) => _open.AddOrUpdate(user, 0, (_, open) => Math.Max(0, open - 1));

    /// <summary>Counts the circuits; the one too many is refused when it opens. The page itself says so before (see App.razor).</summary>
    public sealed class Handler(CircuitLimit limit, AuthenticationStateProvider authentication) : CircuitHandler
    {
        private UserId? _counted;

        public override async Task OnCircuitOpenedAsync(Circuit circuit, CancellationToken cancellationToken)
        {
            if ((await authentication.GetAuthenticationStateAsync()).User.UserId() is not { } user) return;
            if (!limit.TryEnter(user)) throw new RefusedException("too-many-tabs", $"{PerUser} pages are open already", "close some and reload");
            _counted = user;
        }

        public override Task OnCircuitClosedAsync(Circuit circuit, CancellationToken cancellationToken)
        {
            if (_counted is { } user) limit.Leave(user);
            _counted = null;
            return Task.CompletedTask;
        }
    }
}
