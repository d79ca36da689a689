using System.Net;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.DependencyInjection;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Tests.Hosting;

/// <summary>
/// The whole portal as users get it, on a free port and an empty data directory of its own, spoken to by HTTP.
/// </summary>
public sealed partial class Portal : IAsyncDisposable
{
    public const string Password = "correct horse battery";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("tokenmill-portal-");
    private readonly DataDirectory _data;

    private Portal()
    {
        _data = DataDirectory.Open(_folder.FullName);
        var options = new PlatformOptions("http://127.0.0.1:0", _folder.FullName);
        App = Program.Build(options, _data);
        Options = options;
    }

    public WebApplication App { get; }
    public PlatformOptions Options { get; }
    public DataDirectory Data => _data;
    public Uri Address => new(App.Urls.First());
    public string? SetupLink { get; private set; }
    public PlatformDatabase Database => App.Services.GetRequiredService<PlatformDatabase>();

    public T Service<T>() where T : notnull => App.Services.GetRequiredService<T>();

    /// <summary>An empty platform that waits for its first administrator.</summary>
    public static async Task<Portal> StartAsync()
    {
        var portal = new Portal();
        await PlatformHost.StartAsync(portal.App, portal.Options);
        portal.SetupLink = portal.Service<SetupToken>().Link(portal.Address.ToString());
        return portal;
    }

    /// <summary>A browser without a cookie; it does not follow redirects.</summary>
    public HttpClient Browser()
    {
        var client = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false, CookieContainer = new CookieContainer() }) { BaseAddress = Address };
        client.DefaultRequestHeaders.Add("Accept", "text/html");
        return client;
    }

    /// <summary>Sends a form of a page the way a browser does, hidden fields included.</summary>
    public static async Task<HttpResponseMessage> SubmitAsync(HttpClient browser, string page, Dictionary<string, string> fields)
    {
        var html = await browser.GetStringAsync(page);
        foreach (Match hidden in HiddenField().Matches(html)) fields.TryAdd(hidden.Groups[1].Value, WebUtility.HtmlDecode(hidden.Groups[2].Value));
        return await browser.PostAsync(page, new FormUrlEncodedContent(fields));
    }

    public static Task<HttpResponseMessage> SignInAsync(HttpClient browser, string email, string password = Password, string page = "/sign-in") =>
        SubmitAsync(browser, page, new() { ["Input.Email"] = email, ["Input.Password"] = password });

    /// <summary>A person in a workspace (a new one unless given), with the usual password.</summary>
    public async Task<Actor> AddPersonAsync(string email, Role role, WorkspaceId? workspaceId = null, bool mustChangePassword = false)
    {
        var now = TimeProvider.System.GetUtcNow();
        var workspace = new Workspace(workspaceId ?? WorkspaceId.New(), "Team of " + email, now);
        var user = new User { Id = UserId.New(), UserName = email, Email = email, DisplayName = email, CreatedAt = now, WorkspaceId = workspace.Id, MustChangePassword = mustChangePassword };
        await using var scope = App.Services.CreateAsyncScope();
        var created = await scope.ServiceProvider.GetRequiredService<UserManager<User>>().CreateAsync(user, Password);
        Assert.True(created.Succeeded, string.Join(' ', created.Errors.Select(e => e.Description)));
        await Database.WriteAsync(WorkspaceScope.All, db =>
        {
            if (workspaceId is null) db.Add(workspace);
            db.Add(new Membership(workspace.Id, user.Id, role, now));
            return Task.CompletedTask;
        }, CancellationToken.None);
        return new Actor(user.Id, workspace.Id, workspace.Name, role, user.DisplayName);
    }

    /// <summary>A browser in which this person is signed in.</summary>
    public async Task<HttpClient> BrowserOfAsync(string email)
    {
        var browser = Browser();
        var response = await SignInAsync(browser, email);
        Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
        return browser;
    }

    public async ValueTask DisposeAsync()
    {
        await App.StopAsync();
        await App.DisposeAsync();
        _data.Dispose();
        _folder.Delete(recursive: true);
    }

    [GeneratedRegex("<input type=\"hidden\" name=\"([^\"]+)\" value=\"([^\"]*)\"")]
    private static partial Regex HiddenField();
}
