using System.Net;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Tests.Hosting;

namespace TokenMill.Web.Tests.Accounts;

/// <summary>The first administrator: only by the printed link, only once.</summary>
public sealed class SetupTests
{
    private static Dictionary<string, string> Form(string email, string password = Portal.Password) =>
        new() { ["Input.Workspace"] = "Support", ["Input.Name"] = "Ada", ["Input.Email"] = email, ["Input.Password"] = password };

    [Fact]
    public async Task SetUp_ByTheLink_MakesTheAdministratorAndSignsIn()
    {
        await using var portal = await Portal.StartAsync();
        using var browser = portal.Browser();

        var response = await Portal.SubmitAsync(browser, portal.SetupLink!, Form("ada@example.com"));

        Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
        Assert.Contains("Support", await browser.GetStringAsync("/"), StringComparison.Ordinal);
        await using var db = portal.Database.Open(WorkspaceScope.All);
        Assert.Equal(Role.Administrator, (await db.Memberships.SingleAsync()).Role);
    }

    [Fact]
    public async Task SetUp_ByManyAtOnce_LetsOneIn()
    {
        await using var portal = await Portal.StartAsync();
        var all = Enumerable.Range(0, 8).Select(async i =>
        {
            using var browser = portal.Browser();
            return (await Portal.SubmitAsync(browser, portal.SetupLink!, Form($"user{i}@example.com"))).StatusCode;
        });

        var statuses = await Task.WhenAll(all);

        Assert.Single(statuses, HttpStatusCode.Redirect);
        await using var db = portal.Database.Open(WorkspaceScope.All);
        Assert.Equal(1, await db.Users.CountAsync());
        using var late = portal.Browser();
        Assert.Contains("This link is not valid", await late.GetStringAsync(portal.SetupLink), StringComparison.Ordinal);
    }

    [Fact]
    public async Task SetUp_WithAnotherToken_IsRefused()
    {
        await using var portal = await Portal.StartAsync();
        using var browser = portal.Browser();

        var html = await browser.GetStringAsync("/setup?token=" + new string('0', 48));

        Assert.DoesNotContain("<form method=\"post\" class=\"stack\"", html, StringComparison.Ordinal);
        await using var db = portal.Database.Open(WorkspaceScope.All);
        Assert.Equal(0, await db.Users.CountAsync());
    }

    [Fact]
    public async Task SetUp_WithAWeakPassword_SaysWhyAndKeepsTheLinkGood()
    {
        await using var portal = await Portal.StartAsync();
        using var browser = portal.Browser();

        var weak = await Portal.SubmitAsync(browser, portal.SetupLink!, Form("ada@example.com", "short"));
        Assert.Equal(HttpStatusCode.OK, weak.StatusCode);
        Assert.Contains("password-too-short", await weak.Content.ReadAsStringAsync(), StringComparison.Ordinal);

        Assert.Equal(HttpStatusCode.Redirect, (await Portal.SubmitAsync(browser, portal.SetupLink!, Form("ada@example.com"))).StatusCode);
    }

    [Fact]
    public async Task SetUp_AfterOneThatBrokeOff_TakesTheSameEmail()
    {
        await using var portal = await Portal.StartAsync();
        await using (var scope = portal.App.Services.CreateAsyncScope())
        {
            var left = new User { Id = UserId.New(), UserName = "ada@example.com", Email = "ada@example.com", DisplayName = "Ada", CreatedAt = TimeProvider.System.GetUtcNow(), WorkspaceId = WorkspaceId.New() };
            Assert.True((await scope.ServiceProvider.GetRequiredService<UserManager<User>>().CreateAsync(left, Portal.Password)).Succeeded);
        }
        await portal.Service<SetupToken>().PrepareAsync(TestContext.Current.CancellationToken);
        var link = portal.Service<SetupToken>().Link(portal.Address.ToString());

        using var browser = portal.Browser();
        Assert.Equal(HttpStatusCode.Redirect, (await Portal.SubmitAsync(browser, link!, Form("ada@example.com"))).StatusCode);
        Assert.Contains("Support", await browser.GetStringAsync("/"), StringComparison.Ordinal);
    }
}
