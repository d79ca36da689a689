using System.Text.RegularExpressions;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;
using TokenMill.Testing;
using static Microsoft.Playwright.Assertions;

namespace TokenMill.EndToEnd.Tests.Portal;

/// <summary>A person's browser on the platform: tabs that wait for their circuit, pictures of the pages, and what axe says about them.</summary>
internal sealed class Portal : IAsyncDisposable
{
    private const string Chromium = "/usr/bin/chromium";
    private static readonly string s_pictures = Path.Combine(Reference.Repository, "artifacts", "e2e");

    private readonly IPlaywright _playwright;
    private readonly IBrowser _browser;
    private readonly IBrowserContext _context;
    private readonly Uri _address;
    private readonly List<string> _violations = [];

    private Portal(IPlaywright playwright, IBrowser browser, IBrowserContext context, Uri address) => (_playwright, _browser, _context, _address) = (playwright, browser, context, address);

    public IPage Tab { get; private set; } = default!;

    /// <summary>Serious and critical ones of all pages looked at so far.</summary>
    public IReadOnlyList<string> Violations => _violations;

    public static async Task<Portal> OpenAsync(Uri address)
    {
        Reference.Require(File.Exists(Chromium), "no chromium on this machine");
        SetDefaultExpectTimeout(30_000);                     // pages wait for engines, and machines are busy
        Directory.CreateDirectory(s_pictures);
        var playwright = await Playwright.CreateAsync();
        var browser = await playwright.Chromium.LaunchAsync(new()
        {
            ExecutablePath = Chromium,
            Args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        });
        var context = await browser.NewContextAsync(new() { Locale = "en-US", ViewportSize = new() { Width = 1280, Height = 900 } });
        var portal = new Portal(playwright, browser, context, address);
        await portal.NewTabAsync();
        return portal;
    }

    public async Task NewTabAsync()
    {
        var before = Tab;
        Tab = await _context.NewPageAsync();
        if (before is not null) await before.CloseAsync();
    }

    public async Task GoAsync(string path)
    {
        await Tab.GotoAsync(new Uri(_address, path).ToString());
        await ConnectedAsync();
    }

    public async Task ReloadAsync()
    {
        await Tab.ReloadAsync();
        await ConnectedAsync();
    }

    /// <summary>Clicks reach the server only once the page is interactive.</summary>
    public Task ConnectedAsync() => Expect(Tab.Locator(".app[data-interactive=true]")).ToBeVisibleAsync(new() { Timeout = 20_000 });

    public ILocator Button(string name) => Tab.Locator("main").GetByRole(AriaRole.Button, new() { Name = name });

    public ILocator Link(string name) => Tab.Locator("main").GetByRole(AriaRole.Link, new() { Name = name, Exact = true });

    public ILocator State => Tab.Locator(".head .pill");

    public async Task StateAsync(string word, int seconds)
    {
        await Expect(State).ToHaveTextAsync(new Regex($"^({word}|Failed)$"), new() { Timeout = seconds * 1000 });
        Assert.True(await State.InnerTextAsync() == word, await Tab.Locator("main").InnerTextAsync());
    }

    public Task PageAsync(string pattern) => Expect(Tab).ToHaveURLAsync(new Regex(pattern), new() { Timeout = 20_000 });

    public Task ShootAsync(string name) => Tab.ScreenshotAsync(new() { Path = Path.Combine(s_pictures, name + ".png"), FullPage = true });

    /// <summary>The picture, and what axe finds.</summary>
    public async Task LookAsync(string name)
    {
        await ShootAsync(name);
        var result = await Tab.RunAxe();
        _violations.AddRange(result.Violations.Where(v => v.Impact is "serious" or "critical").Select(v => $"{name}: {v.Id} {string.Join(" | ", v.Nodes.Select(n => n.Html))}"));
    }

    /// <summary>The same page dark, on a phone, and in Chinese; then as before.</summary>
    public async Task LookOtherwiseAsync(string path, string name)
    {
        await Tab.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Dark });
        await GoAsync(path);
        await LookAsync($"{name}-dark");
        await Tab.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Light });
        await Tab.SetViewportSizeAsync(360, 740);
        await GoAsync(path);
        await LookAsync($"{name}-360");
        Assert.True(await Tab.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth"), $"{path} scrolls sideways at 360 px");
        await Tab.SetViewportSizeAsync(1280, 900);
        await LanguageAsync("中", "zh");
        await LookAsync($"{name}-zh");
        await LanguageAsync("EN", "en");
    }

    public async ValueTask DisposeAsync()
    {
        await _browser.DisposeAsync();
        _playwright.Dispose();
    }

    private async Task LanguageAsync(string word, string language)
    {
        await Tab.GetByRole(AriaRole.Button, new() { Name = word, Exact = true }).ClickAsync();
        await Expect(Tab.Locator($"html[lang={language}]")).ToBeAttachedAsync();
        await ConnectedAsync();
    }
}
