using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Web.Accounts;
using TokenMill.Web.Features.Playground;
using TokenMill.Web.Tests.Deployments;
using TokenMill.Web.Tests.Hosting;

namespace TokenMill.Web.Tests.Playground;

/// <summary>Answers belong to the server: whoever comes back gets the same text, whoever stops one stops the engine.</summary>
[Collection(DeployedPortal.Collection)]
public sealed class PlaygroundTests(DeployedPortal deployed, ITestOutputHelper output)
{
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly GenerationParameters Greedy = new() { Temperature = 0, MaxTokens = 120 };

    private Portal Portal => deployed.Portal;

    [Fact]
    public async Task Reload_InTheMiddleOfAnAnswer_ShowsTheSameText()
    {
        var begun = await AskAsync(await deployed.SlowAsync(), "Tell me a story about a mill.", Greedy);
        await using var first = await HubAsync(DeployedPortal.OwnerEmail);
        var seen = "";
        await foreach (var update in first.StreamAsync<GenerationUpdate>(nameof(ChatHub.Attach), begun.GenerationId.Value, 0))
        {
            seen += update.Text;
            if (seen.Length > 40) break;                                   // the tab is reloaded
        }
        Assert.False((await ReadAsync(begun.GenerationId)).IsFinished);

        await using var second = await HubAsync(DeployedPortal.OwnerEmail);
        var whole = TextAsync(second, begun.GenerationId, 0);
        var rest = TextAsync(second, begun.GenerationId, seen.Length);
        var stored = await FinishedAsync(begun.GenerationId);

        Assert.Equal(stored.Text, await whole);
        Assert.Equal(stored.Text, seen + await rest);
        Assert.Equal(stored.Text, await TextAsync(second, begun.GenerationId, 0));      // and after its end
        Assert.Equal(GenerationState.Completed, stored.State);
        Assert.True(stored is { FirstTokenMs: > 0, PerTokenMs: > 0, PromptTokens: > 0, CompletionTokens: > 1 });
        output.WriteLine($"first token {stored.FirstTokenMs:0} ms, per token {stored.PerTokenMs:0.0} ms");
    }

    [Fact]
    public async Task Stop_EndsTheEngine_AndCountsWhatItMade()
    {
        var deployment = await deployed.SlowAsync();
        var before = (await deployed.MetricsAsync(deployment)).GenerationTokens;
        var begun = await AskAsync(deployment, "Tell me a long story about a mill.", Greedy with { MaxTokens = 1500 });
        await using var hub = await HubAsync(DeployedPortal.OwnerEmail);
        var seen = 0;
        await foreach (var update in hub.StreamAsync<GenerationUpdate>(nameof(ChatHub.Attach), begun.GenerationId.Value, 0))
            if ((seen += update.Text?.Length ?? 0) > 20) break;

        await hub.InvokeAsync(nameof(ChatHub.Stop), begun.GenerationId.Value);
        var stopped = await FinishedAsync(begun.GenerationId);
        await DeployedPortal.UntilAsync(async () => (await deployed.MetricsAsync(deployment)).Running == 0, "the engine to be idle");
        var made = (await deployed.MetricsAsync(deployment)).GenerationTokens - before;
        await Task.Delay(500);

        Assert.Equal(GenerationState.Stopped, stopped.State);
        Assert.Equal(made, (await deployed.MetricsAsync(deployment)).GenerationTokens - before);
        Assert.InRange(made, 1, 400);
        Assert.True(stopped.PromptTokens > 10);
        Assert.Equal(made, stopped.CompletionTokens);
        output.WriteLine($"the engine made {made} tokens, {stopped.CompletionTokens} are counted");
    }

    [Fact]
    public async Task Again_AnswersTheSameQuestion_AndASeedMakesItTheSameAnswer()
    {
        var parameters = new GenerationParameters { Temperature = 1, Seed = 7, MaxTokens = 40 };
        var begun = await AskAsync(deployed.Starter, "How do I reset my password?", parameters);
        var first = await FinishedAsync(begun.GenerationId);
        var again = await Portal.Service<StartGeneration>().RunAsync(deployed.Owner, new(begun.ConversationId, deployed.Starter.Id, null, null, parameters), None);
        var second = await FinishedAsync(again.OrThrow().GenerationId);
        var next = await FinishedAsync((await Portal.Service<StartGeneration>().RunAsync(deployed.Owner, new(begun.ConversationId, deployed.Starter.Id, "Be brief.", "And my e-mail?", parameters), None)).OrThrow().GenerationId);

        Assert.Equal(first.Text, second.Text);
        Assert.Equal(first.MessagesJson, second.MessagesJson);
        var turns = Turn.Of([first, second, next]);
        Assert.Equal([2, 1], turns.Select(t => t.Answers.Count));
        var roles = System.Text.Json.Nodes.JsonNode.Parse(next.MessagesJson)!.AsArray().Select(m => (string)m!["role"]!);
        Assert.Equal(["system", "user", "assistant", "user"], roles);
    }

    [Fact]
    public async Task AnswerOfAnother_DoesNotExist()
    {
        var begun = await AskAsync(deployed.Starter, "A private question", Greedy);
        await FinishedAsync(begun.GenerationId);
        await Portal.AddPersonAsync("colleague@example.com", Role.Member, deployed.Owner.WorkspaceId);
        var stranger = await Portal.AddPersonAsync("outsider@example.com", Role.Administrator);

        foreach (var email in new[] { "colleague@example.com", "outsider@example.com" })
        {
            await using var hub = await HubAsync(email);
            Assert.Contains("generation-not-found", (await Assert.ThrowsAsync<HubException>(() => TextAsync(hub, begun.GenerationId, 0))).Message, StringComparison.Ordinal);
            Assert.Contains("generation-not-found", (await Assert.ThrowsAsync<HubException>(() => hub.InvokeAsync(nameof(ChatHub.Stop), begun.GenerationId.Value))).Message, StringComparison.Ordinal);
            using var browser = await Portal.BrowserOfAsync(email);
            using var page = await browser.GetAsync($"/playground?conversation={begun.ConversationId}");
            Assert.Equal(System.Net.HttpStatusCode.NotFound, page.StatusCode);
            Assert.DoesNotContain("A private question", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
        Assert.Equal("conversation-not-found", (await Portal.Service<StartGeneration>().RunAsync(stranger, new(begun.ConversationId, deployed.Starter.Id, null, "hello", Greedy), None)).Error?.Code);
        Assert.Equal("deployment-not-found", (await Portal.Service<StartGeneration>().RunAsync(stranger, new(null, deployed.Starter.Id, null, "hello", Greedy), None)).Error?.Code);
    }

    private async Task<StartGeneration.Begun> AskAsync(Deployment deployment, string question, GenerationParameters parameters) =>
        (await Portal.Service<StartGeneration>().RunAsync(deployed.Owner, new(null, deployment.Id, null, question, parameters), None)).OrThrow();

    private async Task<Generation> ReadAsync(GenerationId id)
    {
        await using var db = Portal.Database.Open(deployed.Owner.WorkspaceId);
        return await db.Generations.AsNoTracking().SingleAsync(g => g.Id == id);
    }

    private async Task<Generation> FinishedAsync(GenerationId id)
    {
        Generation? generation = null;
        await DeployedPortal.UntilAsync(async () => (generation = await ReadAsync(id)).IsFinished, "the answer to end");
        Assert.True(generation!.Error is null, generation.Error?.ToString());
        return generation;
    }

    private static async Task<string> TextAsync(HubConnection hub, GenerationId id, int offset)
    {
        var text = "";
        await foreach (var update in hub.StreamAsync<GenerationUpdate>(nameof(ChatHub.Attach), id.Value, offset)) text += update.Text;
        return text;
    }

    /// <summary>A connection as the browser of this person makes it.</summary>
    private async Task<HubConnection> HubAsync(string email)
    {
        using var browser = Portal.Browser();
        using var signedIn = await Portal.SignInAsync(browser, email);
        var cookies = string.Join("; ", signedIn.Headers.GetValues("Set-Cookie").Select(c => c.Split(';')[0]));
        var hub = new HubConnectionBuilder().WithUrl(new Uri(Portal.Address, ChatHub.Path), options => options.Headers["Cookie"] = cookies).Build();
        await hub.StartAsync();
        return hub;
    }
}
