using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Features.FineTuning;
using TokenMill.Web.Tests.Hosting;

namespace TokenMill.Web.Tests.FineTuning;

/// <summary>The hub as a browser meets it: SignalR's JSON protocol over a WebSocket with the cookie of a sign-in.</summary>
public sealed class RunHubTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Follow_TellsWhatHappenedAfterTheLastSequence_ThenWhatHappens()
    {
        await using var portal = await Portal.StartAsync();
        var ada = await portal.AddPersonAsync("ada@example.com", Role.Viewer);
        var run = await SeedAsync(portal, ada);
        using var socket = await ConnectAsync(portal, "ada@example.com");
        await SendAsync(socket, $$"""{"type":4,"invocationId":"1","target":"Follow","arguments":["{{run.Id}}",1]}""");
        var first = (await ReceiveAsync(socket))["item"]!;
        Assert.Equal("Running", first["state"]!.GetValue<string>());
        Assert.Equal([2, 3], first["events"]!.AsArray().Select(e => e!["step"]!.GetValue<int>()));

        await portal.Database.WriteAsync(ada.WorkspaceId, db =>
        {
            db.RunEvents.Add(Event(run, 4, 4));
            return Task.CompletedTask;
        }, Cancelled);
        var next = (await ReceiveAsync(socket))["item"]!;
        Assert.Equal(4, next["lastSequence"]!.GetValue<long>());
        Assert.Equal(4, Assert.Single(next["events"]!.AsArray())!["step"]!.GetValue<int>());
    }

    [Fact]
    public async Task Follow_OfAnotherWorkspacesRun_IsNotFound()
    {
        await using var portal = await Portal.StartAsync();
        var run = await SeedAsync(portal, await portal.AddPersonAsync("ada@example.com", Role.Administrator));
        await portal.AddPersonAsync("eve@example.com", Role.Administrator);
        using var socket = await ConnectAsync(portal, "eve@example.com");
        await SendAsync(socket, $$"""{"type":4,"invocationId":"1","target":"Follow","arguments":["{{run.Id}}",0]}""");
        var end = await ReceiveAsync(socket);
        Assert.Equal(3, end["type"]!.GetValue<int>());
        Assert.Contains("run-not-found", end["error"]!.GetValue<string>());
    }

    private static RunEvent Event(FineTuneRun run, long sequence, int step) =>
        new(run.WorkspaceId, run.Id, sequence, "step", step, Json.Serialize<TrainerEvent>(new StepEvent(0, 2, 1, 1e-4, 100, 50, 10, 1, 1) { Step = step }), TimeProvider.System.GetUtcNow());

    private static async Task<FineTuneRun> SeedAsync(Portal portal, Actor actor)
    {
        var now = TimeProvider.System.GetUtcNow();
        return await portal.Database.WriteAsync(actor.WorkspaceId, db =>
        {
            var dataset = new Dataset(DatasetId.New(), actor.WorkspaceId, "rows", actor.UserId, now);
            var data = new DatasetVersion(DatasetVersionId.New(), actor.WorkspaceId, dataset.Id, 1, "rows.jsonl", actor.UserId, now);
            var model = new Model(ModelId.New(), actor.WorkspaceId, "base", false, actor.UserId, now);
            var weights = new ModelVersion(ModelVersionId.New(), actor.WorkspaceId, model.Id, 1, ModelKind.Base, "model.gguf", "00", 1, now);
            var run = new FineTuneRun(FineTuneRunId.New(), actor.WorkspaceId, "run", 1, data.Id, weights.Id, "{}", actor.UserId, now);
            run.Run(run.Start(now).OrThrow(), 10).OrThrow();
            db.AddRange(dataset, data, model, weights, run, Event(run, 1, 1), Event(run, 2, 2), Event(run, 3, 3));
            return Task.FromResult(run);
        }, Cancelled);
    }

    private static async Task<ClientWebSocket> ConnectAsync(Portal portal, string email)
    {
        using var browser = portal.Browser();
        var signedIn = await Portal.SignInAsync(browser, email);
        var cookie = signedIn.Headers.GetValues("Set-Cookie").Single(c => c.StartsWith("tokenmill=", StringComparison.Ordinal)).Split(';')[0];
        var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Cookie", cookie);
        socket.Options.SetRequestHeader("Origin", portal.Address.GetLeftPart(UriPartial.Authority));
        await socket.ConnectAsync(new Uri($"ws://{portal.Address.Authority}{RunHub.Path}"), Cancelled);
        await SendAsync(socket, """{"protocol":"json","version":1}""");
        Assert.Equal("{}", (await ReceiveTextAsync(socket)).Single());
        return socket;
    }

    private static Task SendAsync(ClientWebSocket socket, string message) =>
        socket.SendAsync(Encoding.UTF8.GetBytes(message + '\u001e'), WebSocketMessageType.Text, true, Cancelled);

    /// <summary>The next message that is no ping.</summary>
    private static async Task<JsonNode> ReceiveAsync(ClientWebSocket socket)
    {
        while (true)
            foreach (var message in (await ReceiveTextAsync(socket)).Select(m => JsonNode.Parse(m)!))
                if (message["type"]!.GetValue<int>() != 6) return message;
    }

    private static async Task<string[]> ReceiveTextAsync(ClientWebSocket socket)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        timeout.CancelAfter(TimeSpan.FromMinutes(1));
        var text = new StringBuilder();
        var buffer = new byte[16 * 1024];
        while (text.Length == 0 || text[^1] != '\u001e')
        {
            var received = await socket.ReceiveAsync(buffer, timeout.Token);
            text.Append(Encoding.UTF8.GetString(buffer, 0, received.Count));
        }
        return text.ToString().Split('\u001e', StringSplitOptions.RemoveEmptyEntries);
    }
}
