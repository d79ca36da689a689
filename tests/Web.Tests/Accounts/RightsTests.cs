using System.Net;
using System.Security.Claims;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Features.ApiKeys;
using TokenMill.Web.Features.Users;
using TokenMill.Web.Tests.Hosting;

namespace TokenMill.Web.Tests.Accounts;

/// <summary>Who may do what: by role, by workspace, and at the moment of the action.</summary>
public sealed class RightsTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Pages_ByRole()
    {
        await using var portal = await Portal.StartAsync();
        var administrator = await portal.AddPersonAsync("admin@example.com", Role.Administrator);
        await portal.AddPersonAsync("member@example.com", Role.Member, administrator.WorkspaceId);
        await portal.AddPersonAsync("viewer@example.com", Role.Viewer, administrator.WorkspaceId);
        (string Page, Role Minimum)[] pages = [("/", Role.Viewer), ("/settings", Role.Viewer), ("/keys", Role.Member), ("/users", Role.Administrator)];

        foreach (var (email, role) in new[] { ("admin@example.com", Role.Administrator), ("member@example.com", Role.Member), ("viewer@example.com", Role.Viewer) })
        {
            using var browser = await portal.BrowserOfAsync(email);
            foreach (var (page, minimum) in pages)
                Assert.Equal((page, role, role >= minimum ? HttpStatusCode.OK : HttpStatusCode.Forbidden), (page, role, (await browser.GetAsync(page)).StatusCode));
        }

        using var stranger = portal.Browser();
        foreach (var (page, _) in pages) Assert.StartsWith("/sign-in", (await stranger.GetAsync(page)).Headers.Location!.PathAndQuery, StringComparison.Ordinal);
        using var program = portal.Browser();
        program.DefaultRequestHeaders.Accept.Clear();
        Assert.Equal(HttpStatusCode.Unauthorized, (await program.GetAsync("/keys")).StatusCode);
    }

    [Fact]
    public async Task DemotedPerson_IsRefusedAtTheNextAction()
    {
        await using var portal = await Portal.StartAsync();
        var administrator = await portal.AddPersonAsync("admin@example.com", Role.Administrator);
        var member = await portal.AddPersonAsync("member@example.com", Role.Member, administrator.WorkspaceId);
        var session = new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, member.UserId.ToString())], "test"));
        await portal.Service<Access>().RequireAsync(session, Role.Member, None);

        (await portal.Service<ChangeRole>().HandleAsync(administrator, new ChangeRole.Command(member.UserId, Role.Viewer), None)).OrThrow();

        var refusal = await Assert.ThrowsAsync<RefusedException>(() => portal.Service<Access>().RequireAsync(session, Role.Member, None));
        Assert.Equal("not-allowed", refusal.Error.Code);
    }

    [Fact]
    public async Task DeactivatedPerson_LosesTheOpenSession()
    {
        await using var portal = await Portal.StartAsync();
        var administrator = await portal.AddPersonAsync("admin@example.com", Role.Administrator);
        var member = await portal.AddPersonAsync("member@example.com", Role.Member, administrator.WorkspaceId);
        using var browser = await portal.BrowserOfAsync("member@example.com");
        Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync("/")).StatusCode);

        (await portal.Service<SetUserActive>().HandleAsync(administrator, new SetUserActive.Command(member.UserId, Active: false), None)).OrThrow();

        Assert.NotEqual(HttpStatusCode.OK, (await browser.GetAsync("/")).StatusCode);
        using var again = portal.Browser();
        Assert.Contains("sign-in-failed", await (await Portal.SignInAsync(again, "member@example.com")).Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task LastAdministrator_CannotBeLost()
    {
        await using var portal = await Portal.StartAsync();
        var administrator = await portal.AddPersonAsync("admin@example.com", Role.Administrator);
        var second = await portal.AddPersonAsync("second@example.com", Role.Administrator, administrator.WorkspaceId);
        var roles = portal.Service<ChangeRole>();

        Assert.True((await roles.HandleAsync(administrator, new ChangeRole.Command(administrator.UserId, Role.Viewer), None)).IsOk);
        Assert.Equal("last-administrator", (await roles.HandleAsync(second, new ChangeRole.Command(second.UserId, Role.Member), None)).Error?.Code);
    }

    [Fact]
    public async Task ForeignIds_AreNotFound()
    {
        await using var portal = await Portal.StartAsync();
        var mine = await portal.AddPersonAsync("mine@example.com", Role.Administrator);
        var theirs = await portal.AddPersonAsync("theirs@example.com", Role.Administrator);
        var key = (await portal.Service<CreateApiKey>().HandleAsync(theirs, new CreateApiKey.Command("secret key"), None)).OrThrow();

        Assert.Equal("key-not-found", (await portal.Service<RevokeApiKey>().HandleAsync(mine, key.Id, None)).Error?.Code);
        Assert.Equal("user-not-found", (await portal.Service<ChangeRole>().HandleAsync(mine, new ChangeRole.Command(theirs.UserId, Role.Viewer), None)).Error?.Code);
        Assert.Equal("user-not-found", (await portal.Service<SetUserActive>().HandleAsync(mine, new SetUserActive.Command(theirs.UserId, false), None)).Error?.Code);
        Assert.Equal("user-not-found", (await portal.Service<ResetPassword>().HandleAsync(mine, theirs.UserId, None)).Error?.Code);
        using var browser = await portal.BrowserOfAsync("mine@example.com");
        foreach (var page in new[] { "/keys", "/users", "/" })
        {
            var html = await browser.GetStringAsync(page);
            Assert.DoesNotContain("secret key", html, StringComparison.Ordinal);
            Assert.DoesNotContain("theirs@example.com", html, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task ApiKey_IsKeptOnlyAsItsHash_AndMembersRevokeOnlyTheirOwn()
    {
        await using var portal = await Portal.StartAsync();
        var administrator = await portal.AddPersonAsync("admin@example.com", Role.Administrator);
        var member = await portal.AddPersonAsync("member@example.com", Role.Member, administrator.WorkspaceId);
        var key = (await portal.Service<CreateApiKey>().HandleAsync(administrator, new CreateApiKey.Command("bot"), None)).OrThrow();

        await Assert.ThrowsAsync<RefusedException>(() => portal.Service<RevokeApiKey>().HandleAsync(member, key.Id, None));
        Assert.True((await portal.Service<RevokeApiKey>().HandleAsync(administrator, key.Id, None)).IsOk);

        foreach (var file in Directory.EnumerateFiles(portal.Data.Root, "platform.db*"))
        {
            await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var reader = new StreamReader(stream, System.Text.Encoding.Latin1);
            Assert.DoesNotContain(key.Secret, await reader.ReadToEndAsync(), StringComparison.Ordinal);
        }
        await using var db = portal.Database.Open(administrator.WorkspaceId);
        Assert.Equal(["api-key-created", "api-key-revoked"], await db.AuditEntries.OrderBy(e => e.Id).Select(e => e.Action).ToListAsync());
    }

    [Fact]
    public async Task Invitation_GivesAPasswordThatSignsInOnce()
    {
        await using var portal = await Portal.StartAsync();
        var administrator = await portal.AddPersonAsync("admin@example.com", Role.Administrator);

        var invited = (await portal.Service<InviteUser>().HandleAsync(administrator, new InviteUser.Command("Bo", "bo@example.com", Role.Viewer), None)).OrThrow();
        Assert.Equal("duplicate-user-name", (await portal.Service<InviteUser>().HandleAsync(administrator, new InviteUser.Command("Bo", "bo@example.com", Role.Viewer), None)).Error?.Code);

        using var browser = portal.Browser();
        Assert.Equal(HttpStatusCode.Redirect, (await Portal.SignInAsync(browser, "bo@example.com", invited.Password)).StatusCode);
        Assert.EndsWith("/account/password", (await browser.GetAsync("/")).Headers.Location?.ToString(), StringComparison.Ordinal);
    }
}
