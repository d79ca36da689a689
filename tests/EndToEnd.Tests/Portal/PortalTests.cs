using System.ClientModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using OpenAI;
using OpenAI.Chat;
using TokenMill.EndToEnd.Tests.Faults;
using TokenMill.Testing;
using static Microsoft.Playwright.Assertions;

namespace TokenMill.EndToEnd.Tests.Portal;

/// <summary>One person's way from an empty data directory to a program that talks to the tuned model, all of it in the browser.</summary>
public sealed partial class PortalTests(ITestOutputHelper output) : IDisposable
{
    private const string Name = "household";
    private const int LongAnswer = 3000;

    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly string _folder = Directory.CreateTempSubdirectory("tokenmill-portal-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Portal_FromEmptyDataDirectory_LeadsToTunedModelThatAnswersPrograms()
    {
        Reference.Require(File.Exists(Path.Combine(Reference.Repository, ".native", "torch", "libtokenmill_torch.so")), "no libtorch on this machine");
        await using var platform = await PlatformProcess.StartAsync(Path.Combine(_folder, "data"));
        await using var portal = await Portal.OpenAsync(platform.Address);
        try
        {
            await SetUpAsync(portal, platform);
            await ImportDatasetAsync(portal);
            var model = await ImportModelAsync(portal);
            var run = await FineTuneAsync(portal);
            await EvaluateAsync(portal, run);
            await AskAsync(portal, await DeployAsync(portal, run, Name, "deployment"));
            var endless = await DeployAsync(portal, model, "endless", "deployment-base");
            await AskAndReloadAsync(portal, endless);
            await StopAnswerAsync(portal, endless);
            await LookAtQueueAsync(portal);
            await CallFromProgramAsync(portal, platform);
            await portal.LookOtherwiseAsync(run, "run");
            await portal.LookOtherwiseAsync("/datasets", "datasets");
            await portal.LookOtherwiseAsync("/", "home");
        }
        catch (Exception)
        {
            await portal.ShootAsync("failure");
            output.WriteLine(platform.Output);
            throw;
        }
        Assert.Empty(portal.Violations);
    }

    private void Log(string station) => output.WriteLine($"{_clock.Elapsed.TotalSeconds,5:0.0} s {station}");

    private async Task SetUpAsync(Portal portal, PlatformProcess platform)
    {
        await portal.Tab.GotoAsync(SetUpLink().Match(platform.Output).Groups[1].Value);
        await portal.LookAsync("setup");
        await portal.Tab.GetByLabel("Your name").FillAsync("Ada");
        await portal.Tab.GetByLabel("E-mail").FillAsync("ada@example.org");
        await portal.Tab.GetByLabel("Password").FillAsync("a few plain words");
        await portal.Tab.GetByRole(AriaRole.Button, new() { Name = "Create and sign in" }).ClickAsync();
        await portal.ConnectedAsync();
        await portal.LookAsync("home-empty");
        Log("administrator");
    }

    private async Task ImportDatasetAsync(Portal portal)
    {
        await portal.GoAsync("/datasets");
        await portal.LookAsync("datasets-empty");
        await portal.Tab.Locator("input[type=file]").SetInputFilesAsync(await Conversations.WriteAsync(_folder));
        await portal.PageAsync("/datasets/.+");
        await portal.StateAsync("Ready", 30);
        await Expect(portal.Tab.GetByText($"good rows of {Conversations.Rows}")).ToBeVisibleAsync();
        await Expect(portal.Tab.Locator("aside .figure")).ToHaveTextAsync((Conversations.Rows - 1).ToString(CultureInfo.InvariantCulture));
        await portal.Button("Errors").ClickAsync();
        await Expect(portal.Tab.Locator("table.findings tbody tr td").First).ToHaveTextAsync(Conversations.BrokenRow.ToString(CultureInfo.InvariantCulture));
        await Expect(portal.Tab.GetByText("Counted with")).ToBeVisibleAsync(new() { Timeout = 30_000 });
        await portal.LookAsync("dataset");
        Log("dataset");
    }

    private async Task<string> ImportModelAsync(Portal portal)
    {
        var file = Path.Combine(_folder, "endless.gguf");
        EndlessModel.Write(file);
        await portal.GoAsync("/models");
        await Expect(portal.Tab.GetByText("built in")).ToBeVisibleAsync();
        await portal.Tab.Locator("input[type=file]").SetInputFilesAsync(file);
        await portal.PageAsync("/models/.+");
        await Expect(portal.Tab.Locator("main h1")).ToBeVisibleAsync();
        await portal.LookAsync("model");
        var model = new Uri(portal.Tab.Url).AbsolutePath;
        await portal.GoAsync("/models");
        await Expect(portal.Tab.Locator("tbody tr")).ToHaveCountAsync(2);
        await portal.LookAsync("models");
        Log("models");
        return model;
    }

    private async Task<string> FineTuneAsync(Portal portal)
    {
        await portal.GoAsync("/fine-tunes/new");
        await ChooseAsync(portal.Tab.Locator("#dataset"), Name);
        await ChooseAsync(portal.Tab.Locator("#model"), "starter");
        await portal.Tab.Locator("#name").FillAsync(Name);
        await Expect(portal.Tab.GetByText("Rows trained on")).ToBeVisibleAsync();
        await portal.LookAsync("new-fine-tune");
        await portal.Button("Start fine-tune").ClickAsync();
        await portal.PageAsync("/fine-tunes/[0-9a-f-]{36}");
        var run = new Uri(portal.Tab.Url).AbsolutePath;
        await Expect(portal.Tab.GetByText(LiveStep())).ToBeVisibleAsync(new() { Timeout = 60_000 });
        await Expect(portal.Tab.GetByText(LiveLoss()).First).ToBeVisibleAsync();
        await portal.LookAsync("run-live");
        await portal.NewTabAsync();
        await portal.GoAsync(run);
        await Expect(portal.Tab.GetByText(LiveLoss()).First).ToBeVisibleAsync();
        await portal.StateAsync("Finished", 120);
        await portal.LookAsync("run");
        Log("fine-tune");
        return run;
    }

    private async Task EvaluateAsync(Portal portal, string run)
    {
        await portal.GoAsync(run);
        await portal.Link("Evaluate").ClickAsync();
        await portal.PageAsync(@"/evaluations/new\?tuned=");
        await portal.LookAsync("new-evaluation");
        await portal.Button("Start evaluation").ClickAsync();
        await portal.PageAsync("/evaluations/[0-9a-f-]{36}");
        await portal.StateAsync("Finished", 60);
        var item = portal.Tab.Locator("article.item").First;
        await item.Locator("summary").ClickAsync();
        foreach (var side in new[] { "Wanted", "Base", "Tuned" }) await Expect(item.GetByRole(AriaRole.Heading, new() { Name = side, Exact = true })).ToBeVisibleAsync();
        await portal.LookAsync("evaluation");
        await portal.LookOtherwiseAsync(new Uri(portal.Tab.Url).AbsolutePath, "evaluation");
        Log("evaluation");
    }

    private async Task<string> DeployAsync(Portal portal, string source, string name, string picture)
    {
        await portal.GoAsync(source);
        await portal.Link("Deploy").ClickAsync();
        await portal.PageAsync(@"/deployments/new\?model=");
        await portal.Tab.Locator("#name").FillAsync(name);
        await portal.LookAsync($"new-{picture}");
        await portal.Button("Deploy").ClickAsync();
        await portal.PageAsync("/deployments/[0-9a-f-]{36}");
        await portal.StateAsync("Ready", 60);
        await Expect(portal.Tab.Locator("section[aria-labelledby=steps] li").GetByText("Done").First).ToBeVisibleAsync();
        await portal.LookAsync(picture);
        Log(picture);
        return new Uri(portal.Tab.Url).AbsolutePath;
    }

    private async Task AskAndReloadAsync(Portal portal, string deployment)
    {
        await AskLongAsync(portal, deployment);
        var live = portal.Tab.Locator(".live");
        await Expect(live).ToHaveTextAsync(Some());
        var first = (await live.TextContentAsync())!.Length;
        await portal.Tab.WaitForFunctionAsync("n => document.querySelector('.live')?.textContent.length > n", first);
        var partial = await live.TextContentAsync() ?? "";
        await portal.ShootAsync("playground-live");
        await portal.ReloadAsync();
        await Expect(portal.Tab.GetByRole(AriaRole.Button, new() { Name = "Again" })).ToBeVisibleAsync(new() { Timeout = 60_000 });
        var final = await FinalTextAsync(portal);
        Assert.StartsWith(Plain(partial), Plain(final));
        Assert.True(final.Length > partial.Length, "the text did not grow");
        await portal.ReloadAsync();
        Assert.Equal(final, await FinalTextAsync(portal));
        Log($"reload: {partial.Length} of {final.Length} characters before the reload");
    }

    private async Task StopAnswerAsync(Portal portal, string deployment)
    {
        await portal.GoAsync(deployment);
        var before = await GeneratedAsync(portal);
        await AskLongAsync(portal, deployment);
        await Expect(portal.Tab.Locator(".live")).ToHaveTextAsync(Some());
        await portal.Button("Stop").ClickAsync();
        await Expect(portal.Tab.Locator(".answer .badge", new() { HasText = "stopped" })).ToBeVisibleAsync();
        await portal.ShootAsync("playground-stopped");
        await portal.GoAsync(deployment);
        await Expect(portal.Tab.Locator("section[aria-labelledby=figures] dd").First).ToHaveTextAsync("0");
        var stopped = await GeneratedAsync(portal);
        // The page asks the engine each second.
        await Assert.ThrowsAsync<TimeoutException>(() => portal.Tab.WaitForFunctionAsync(
            "n => document.querySelector('[data-metric=generation_tokens_total]').textContent.replace(/\\D/g, '') !== n", stopped.ToString(CultureInfo.InvariantCulture), new() { Timeout = 3000 }));
        Assert.InRange(stopped - before, 1, LongAnswer - 1);
        Log($"stop after {stopped - before} of {LongAnswer} tokens");
    }

    private async Task LookAtQueueAsync(Portal portal)
    {
        await portal.GoAsync("/queue");
        await Expect(portal.Tab.Locator("tbody tr")).Not.ToHaveCountAsync(0);
        await Expect(portal.Tab.Locator("tbody .pill", new() { HasText = "Finished" }).First).ToBeVisibleAsync();
        await portal.LookAsync("queue");
        Log("queue");
    }

    private async Task CallFromProgramAsync(Portal portal, PlatformProcess platform)
    {
        await portal.GoAsync("/keys");
        await portal.Tab.GetByLabel("Name of the key").FillAsync("program");
        await portal.Button("Create key").ClickAsync();
        var key = await portal.Tab.Locator("#new-key").InnerTextAsync();
        await portal.LookAsync("keys");
        var chat = new ChatClient(Name, new ApiKeyCredential(key), new OpenAIClientOptions { Endpoint = new Uri(platform.Address, "v1") });
        var (text, pieces) = (new StringBuilder(), 0);
        await foreach (var update in chat.CompleteChatStreamingAsync([new UserChatMessage("Where is the kettle?")], new() { MaxOutputTokenCount = 40 }, TestContext.Current.CancellationToken))
        {
            foreach (var part in update.ContentUpdate) text.Append(part.Text);
            if (update.ContentUpdate.Count > 0) pieces++;
        }
        Assert.True(pieces > 1, $"{pieces} pieces: {text}");
        Log($"OpenAI client: {text}");
    }

    private async Task AskAsync(Portal portal, string deployment)
    {
        await portal.GoAsync($"/playground?deployment={deployment.Split('/')[^1]}");
        await portal.Tab.GetByLabel("Your question").FillAsync("How do I make tea?");
        await portal.Tab.Keyboard.PressAsync("Enter");
        await Expect(portal.Button("Again")).ToBeVisibleAsync();
        Assert.NotEmpty(await FinalTextAsync(portal));
        await portal.LookAsync("playground");
        Log("playground");
    }

    private static async Task AskLongAsync(Portal portal, string deployment)
    {
        await portal.GoAsync($"/playground?deployment={deployment.Split('/')[^1]}");
        await portal.Tab.GetByLabel("Most tokens").FillAsync(LongAnswer.ToString(CultureInfo.InvariantCulture));
        await portal.Tab.GetByLabel("Your question").FillAsync("Tell me a long story about a kettle and a ladder.");
        await portal.Button("Send").ClickAsync();
    }

    private static async Task ChooseAsync(ILocator list, string text)
    {
        var option = await list.Locator("option", new() { HasTextRegex = new Regex(text, RegexOptions.IgnoreCase) }).First.GetAttributeAsync("value");
        await list.SelectOptionAsync(option!);
    }

    private static Task<string> FinalTextAsync(Portal portal) => portal.Tab.Locator(".answer .markdown, .answer .said").InnerTextAsync();

    private static async Task<int> GeneratedAsync(Portal portal)
    {
        var figure = portal.Tab.Locator("[data-metric=generation_tokens_total]");
        await Expect(figure).ToHaveTextAsync(Digits());
        return int.Parse(await figure.InnerTextAsync(), NumberStyles.AllowThousands, CultureInfo.InvariantCulture);
    }

    private static string Plain(string text) => Space().Replace(text, "");

    [GeneratedRegex(@"First administrator, once: (http\S+)")]
    private static partial Regex SetUpLink();

    [GeneratedRegex(@"step \d+ of \d+ ")]
    private static partial Regex LiveStep();

    [GeneratedRegex(@"training \d")]
    private static partial Regex LiveLoss();

    [GeneratedRegex(@"\d")]
    private static partial Regex Digits();

    [GeneratedRegex(@"\S.{4,}", RegexOptions.Singleline)]
    private static partial Regex Some();

    [GeneratedRegex(@"[^\w]+")]
    private static partial Regex Space();
}
