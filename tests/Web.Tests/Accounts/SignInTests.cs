using System.Net;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Tests.Hosting;

namespace TokenMill.Web.Tests.Accounts;

public sealed class SignInTests
{
    [Fact]
    public async Task WrongPassword_FiveTimes_LocksTheAccountAlsoForTheRightOne()
    {
        await using var portal = await Portal.StartAsync();
        await portal.AddPersonAsync("ada@example.com", Role.Administrator);
        using var browser = portal.Browser();

        for (var i = 0; i < 5; i++) Assert.Equal(HttpStatusCode.OK, (await Portal.SignInAsync(browser, "ada@example.com", "wrong password " + i)).StatusCode);
        var right = await Portal.SignInAsync(browser, "ada@example.com");

        Assert.Equal(HttpStatusCode.OK, right.StatusCode);
        Assert.Contains("locked-out", await right.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task UnknownPersonAndWrongPassword_LookTheSame()
    {
        await using var portal = await Portal.StartAsync();
        await portal.AddPersonAsync("ada@example.com", Role.Member);
        using var browser = portal.Browser();

        var unknown = await (await Portal.SignInAsync(browser, "nobody@example.com")).Content.ReadAsStringAsync();
        var wrong = await (await Portal.SignInAsync(browser, "ada@example.com", "wrong password")).Content.ReadAsStringAsync();

        foreach (var page in new[] { unknown, wrong }) Assert.Contains("E-mail or password is wrong", page, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/keys", "/keys")]
    [InlineData("https://evil.example/", "/")]
    [InlineData("//evil.example/", "/")]
    [InlineData("/\\evil.example", "/")]
    [InlineData("javascript:alert(1)", "/")]
    public async Task Return_LeadsOnlyIntoThePortal(string asked, string expected)
    {
        await using var portal = await Portal.StartAsync();
        await portal.AddPersonAsync("ada@example.com", Role.Member);
        using var browser = portal.Browser();

        var response = await Portal.SignInAsync(browser, "ada@example.com", page: "/sign-in?return=" + Uri.EscapeDataString(asked));

        Assert.Equal(new Uri(portal.Address, expected), new Uri(portal.Address, response.Headers.Location!));
    }

    [Theory]
    [InlineData("/sign-in")]
    [InlineData("/sign-out")]
    [InlineData("/account/password")]
    public async Task Form_WithoutItsAntiforgeryToken_IsRefused(string page)
    {
        await using var portal = await Portal.StartAsync();
        await portal.AddPersonAsync("ada@example.com", Role.Member);
        using var browser = await portal.BrowserOfAsync("ada@example.com");

        var response = await browser.PostAsync(page, new FormUrlEncodedContent(new Dictionary<string, string> { ["_handler"] = page[1..], ["Input.Email"] = "ada@example.com", ["Input.Password"] = Portal.Password }));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync("/")).StatusCode);
    }

    [Fact]
    public async Task SignOut_ByItsForm_EndsTheSession()
    {
        await using var portal = await Portal.StartAsync();
        await portal.AddPersonAsync("ada@example.com", Role.Member);
        using var browser = await portal.BrowserOfAsync("ada@example.com");
        var html = await browser.GetStringAsync("/");
        var token = System.Text.RegularExpressions.Regex.Match(html, "name=\"__RequestVerificationToken\" value=\"([^\"]+)\"").Groups[1].Value;

        await browser.PostAsync("/sign-out", new FormUrlEncodedContent(new Dictionary<string, string> { ["__RequestVerificationToken"] = WebUtility.HtmlDecode(token) }));

        Assert.Equal(HttpStatusCode.Redirect, (await browser.GetAsync("/")).StatusCode);
    }

    [Fact]
    public async Task OneTimePassword_OpensOnlyThePasswordPage_UntilItIsChanged()
    {
        await using var portal = await Portal.StartAsync();
        await portal.AddPersonAsync("new@example.com", Role.Member, mustChangePassword: true);
        using var browser = await portal.BrowserOfAsync("new@example.com");

        Assert.EndsWith("/account/password", (await browser.GetAsync("/keys")).Headers.Location?.ToString(), StringComparison.Ordinal);
        var changed = await Portal.SubmitAsync(browser, "/account/password", new() { ["Input.Current"] = Portal.Password, ["Input.New"] = "another good phrase" });

        Assert.Equal(HttpStatusCode.Redirect, changed.StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync("/keys")).StatusCode);
    }

    [Fact]
    public async Task ExtraFormFields_ChangeNothing()
    {
        await using var portal = await Portal.StartAsync();
        using var browser = portal.Browser();
        var foreign = Guid.NewGuid().ToString();

        await Portal.SubmitAsync(browser, portal.SetupLink!, new()
        {
            ["Input.Workspace"] = "Support", ["Input.Name"] = "Ada", ["Input.Email"] = "ada@example.com", ["Input.Password"] = Portal.Password,
            ["Input.WorkspaceId"] = foreign, ["WorkspaceId"] = foreign, ["Input.Id"] = foreign, ["Input.DeactivatedAt"] = "2026-01-01",
        });

        await using var db = portal.Database.Open(WorkspaceScope.All);
        var user = await db.Users.SingleAsync();
        Assert.Equal((await db.Workspaces.SingleAsync()).Id, user.WorkspaceId);
        Assert.Null(user.DeactivatedAt);
        Assert.NotEqual(foreign, user.Id.ToString());
    }
}
