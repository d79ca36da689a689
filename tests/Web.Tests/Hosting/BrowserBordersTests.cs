using System.Net;
using System.Net.WebSockets;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Tests.Hosting;

/// <summary>What browsers are told, and which sites may connect.</summary>
public sealed class BrowserBordersTests
{
    [Theory]
    [InlineData("/sign-in")]
    [InlineData("/health")]
    [InlineData("/css/tokens.css")]
    [InlineData("/nothing-here")]
    public async Task EveryAnswer_CarriesTheSecurityHeaders(string path)
    {
        await using var portal = await Portal.StartAsync();
        using var browser = portal.Browser();

        var response = await browser.GetAsync(path);

        var policy = Assert.Single(response.Headers.GetValues("Content-Security-Policy"));
        Assert.Contains("script-src 'self';", policy, StringComparison.Ordinal);
        Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.False(response.Headers.Contains("Server"));
    }

    [Fact]
    public async Task Pages_HoldNoInlineScript()
    {
        await using var portal = await Portal.StartAsync();
        await portal.AddPersonAsync("ada@example.com", Role.Administrator);
        using var browser = await portal.BrowserOfAsync("ada@example.com");

        foreach (var page in new[] { "/", "/keys", "/users", "/settings", "/sign-in" })
        {
            var html = await browser.GetStringAsync(page);
            Assert.DoesNotMatch("<script(?![^>]*src=)[^>]*>", html);
            Assert.DoesNotMatch(" on[a-z]+=\"", html);
            Assert.DoesNotContain("<style", html, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("https://evil.example", false)]
    [InlineData("null", false)]
    [InlineData("http://127.0.0.1:1", false)]
    [InlineData(null, true)]
    public async Task LiveConnection_OnlyFromTheOwnOrigin(string? origin, bool allowed)
    {
        await using var portal = await Portal.StartAsync();
        await portal.AddPersonAsync("ada@example.com", Role.Administrator);
        var cookies = new CookieContainer();
        using var signedIn = new HttpClient(new HttpClientHandler { CookieContainer = cookies, AllowAutoRedirect = false }) { BaseAddress = portal.Address };
        await Portal.SignInAsync(signedIn, "ada@example.com");
        using var socket = new ClientWebSocket();
        socket.Options.Cookies = cookies;
        socket.Options.CollectHttpResponseDetails = true;
        socket.Options.SetRequestHeader("Origin", origin ?? portal.Address.GetLeftPart(UriPartial.Authority));

        try
        {
            await socket.ConnectAsync(new UriBuilder(portal.Address) { Scheme = "ws", Path = "/_blazor" }.Uri, CancellationToken.None);
        }
        catch (WebSocketException)
        {
            // The status says which refusal it was.
        }

        Assert.Equal(allowed ? HttpStatusCode.SwitchingProtocols : HttpStatusCode.Forbidden, socket.HttpStatusCode);
        using var hub = new HttpRequestMessage(HttpMethod.Post, "/hubs/anything/negotiate");
        hub.Headers.Add("Origin", origin ?? portal.Address.GetLeftPart(UriPartial.Authority));
        Assert.Equal(allowed, (await signedIn.SendAsync(hub)).StatusCode != HttpStatusCode.Forbidden);
    }
}
