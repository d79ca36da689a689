using System.Security.Claims;
using Microsoft.AspNetCore.Components.Authorization;
using TokenMill.Shared.Domain;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Tests.Hosting;

public sealed class CircuitLimitTests
{
    [Fact]
    public async Task Circuits_OverTheLimit_AreRefusedUntilOneCloses()
    {
        var (limit, user) = (new CircuitLimit(), UserId.New());
        var open = new List<CircuitLimit.Handler>();
        for (var i = 0; i < CircuitLimit.PerUser; i++) open.Add(await OpenAsync(limit, user));

        Assert.True(limit.IsFull(user));
        Assert.Equal("too-many-tabs", (await Assert.ThrowsAsync<RefusedException>(() => OpenAsync(limit, user))).Error.Code);
        await OpenAsync(limit, UserId.New());                     // another person is not concerned
        await open[0].OnCircuitClosedAsync(null!, CancellationToken.None);
        await open[0].OnCircuitClosedAsync(null!, CancellationToken.None);
        await OpenAsync(limit, user);
        Assert.True(limit.IsFull(user));
    }

    [Fact]
    public async Task Page_OfAPersonAtTheLimit_SaysSoWithoutAConnection()
    {
        await using var portal = await Portal.StartAsync();
        var person = await portal.AddPersonAsync("tabs@example.com", Role.Viewer);
        using var browser = await portal.BrowserOfAsync("tabs@example.com");
        for (var i = 0; i < CircuitLimit.PerUser; i++) await OpenAsync(portal.Service<CircuitLimit>(), person.UserId);

        var html = await browser.GetStringAsync("/");

        Assert.Contains("Too many open pages", html, StringComparison.Ordinal);
        Assert.DoesNotContain("blazor.web", html, StringComparison.Ordinal);
    }

    private static async Task<CircuitLimit.Handler> OpenAsync(CircuitLimit limit, UserId user)
    {
        var handler = new CircuitLimit.Handler(limit, new SignedIn(user));
        await handler.OnCircuitOpenedAsync(null!, CancellationToken.None);
        return handler;
    }

    private sealed class SignedIn(UserId user) : AuthenticationStateProvider
    {
        public override Task<AuthenticationState> GetAuthenticationStateAsync() =>
            Task.FromResult(new AuthenticationState(new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, user.ToString())], "test"))));
    }
}
