using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Features.Deployments;
using TokenMill.Web.Gateway;

namespace TokenMill.Web.Features.Playground;

/// <summary>
/// The answers that are being made in this process. Each runs to its end whether or not anybody watches; its text is saved
/// now and then and at the end, so that a reload, a closed tab or a crash loses at most the last second.
/// </summary>
public sealed partial class Generations(PlatformDatabase database, RunningDeployments running, UsageLedger ledger, TimeProvider time, ILogger<Generations> log) : IHostedService
{
    private static readonly TimeSpan SavePeriod = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<GenerationId, LiveGeneration> _live = new();
    private readonly CancellationTokenSource _shutdown = new();

    /// <summary>The answer while it is being made; null when it has ended (its text is in the database) or is not of this workspace.</summary>
    public LiveGeneration? Find(WorkspaceId workspace, GenerationId id) => _live.TryGetValue(id, out var live) && live.WorkspaceId == workspace ? live : null;

    /// <summary>Begins to make an answer that has just been stored.</summary>
    public void Begin(Generation generation)
    {
        var live = new LiveGeneration(generation);
        _live[generation.Id] = live;
        _ = Task.Run(() => MakeAsync(generation, live));
    }

    /// <summary>What a crash left unfinished is closed, with the text it had.</summary>
    public Task StartAsync(CancellationToken cancellationToken) => database.WriteAsync(WorkspaceScope.All, async db =>
    {
        foreach (var cut in await db.Generations.Where(g => g.State == GenerationState.Waiting || g.State == GenerationState.Streaming).ToListAsync(cancellationToken))
            cut.Fail(cut.Text, new Error("portal-restarted", "The portal was restarted in the middle of this answer", "ask again for a whole one"), time.GetUtcNow()).OrThrow();
    }, cancellationToken);

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _shutdown.CancelAsync();
        while (!_live.IsEmpty && !cancellationToken.IsCancellationRequested) await Task.Delay(TimeSpan.FromMilliseconds(50), time, CancellationToken.None);
    }

    private async Task MakeAsync(Generation generation, LiveGeneration live)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(live.Stopped, _shutdown.Token);
        var outcome = new Outcome();
        try
        {
            await ReadAsync(generation, live, outcome, end.Token);
            end.Token.ThrowIfCancellationRequested();          // it was read to its end, and that came early
        }
        catch (OperationCanceledException) when (live.Stopped.IsCancellationRequested)
        {
            outcome.Stopped = true;
        }
        catch (OperationCanceledException) when (_shutdown.IsCancellationRequested)
        {
            outcome.Error = new Error("portal-stopped", "The portal was stopped in the middle of this answer", "ask again for a whole one");
        }
        catch (RefusedException e)
        {
            outcome.Error = e.Error;
        }
        catch (Exception e) when (e is HttpRequestException or IOException or JsonException)
        {
            outcome.Error = new Error("engine-lost", "The process that made this answer ended", "it is started again; ask again in a moment");
        }
        catch (Exception e)
        {
            LogFault(log, e, generation.Id);
            outcome.Error = new Error("generation-fault", "This answer ended by a fault of the platform", "ask again; the log has the reason");
        }
        try
        {
            await FinishAsync(generation, live.Text, outcome);
        }
        finally
        {
            live.End();
            _live.TryRemove(generation.Id, out _);
        }
    }

    private async Task ReadAsync(Generation generation, LiveGeneration live, Outcome outcome, CancellationToken cancellationToken)
    {
        if (!running.TryGet(generation.DeploymentId, out var target))
            throw new RefusedException("deployment-not-ready", "The deployment does not answer now", "look at its page for the reason");
        await ledger.ReserveAsync(RequestId(generation), generation.WorkspaceId, generation.DeploymentId, null, generation.UserId, cancellationToken);
        outcome.Reserved = true;

        var body = GenerationParameters.Parse(generation.ParametersJson).Request(target.EngineModel, JsonNode.Parse(generation.MessagesJson)!.AsArray());
        body["tenant"] = generation.WorkspaceId.ToString();
        await using var call = new EngineCall(target.Engine.Client, "/v1/chat/completions", JsonContent.Create(body), RequestId(generation), cancellationToken);
        var clock = Stopwatch.StartNew();
        using var response = await call.SendAsync();
        if (!response.IsSuccessStatusCode)
        {
            var error = (await response.Content.ReadFromJsonAsync<JsonObject>(call.Abandoned))?["error"];
            throw new RefusedException(error?["code"]?.GetValue<string>() ?? "engine-refused", error?["message"]?.GetValue<string>() ?? $"the engine answered {(int)response.StatusCode}", "change the request or wait a moment");
        }

        var stream = new EngineStream(await response.Content.ReadAsStreamAsync(call.Abandoned));
        var saved = clock.Elapsed;
        try
        {
            await foreach (var chunk in stream.ChunksAsync(call.Abandoned))
            {
                var choice = (chunk["choices"] as JsonArray)?.FirstOrDefault();
                if (choice?["finish_reason"]?.GetValue<string>() is { } reason) outcome.FinishReason = reason;
                if (choice?["delta"]?["content"]?.GetValue<string>() is not { Length: > 0 } text) continue;
                outcome.Token(clock.Elapsed);
                live.Append(text);
                if (clock.Elapsed - saved < SavePeriod) continue;
                saved = clock.Elapsed;
                await database.WriteAsync(generation.WorkspaceId, async db => (await db.Generations.SingleAsync(g => g.Id == generation.Id, call.Abandoned)).Save(live.Text), call.Abandoned);
            }
        }
        finally
        {
            outcome.Tokens = stream.Tokens;
        }
        if (outcome.FinishReason is null) throw new IOException("the stream ended without a reason");
    }

    private async Task FinishAsync(Generation generation, string text, Outcome outcome)
    {
        await database.WriteAsync(generation.WorkspaceId, async db =>
        {
            var stored = await db.Generations.SingleAsync(g => g.Id == generation.Id);
            var now = time.GetUtcNow();
            stored.Measure(outcome.Tokens.Prompt, outcome.Tokens.Cached, outcome.Tokens.Completion, outcome.FirstTokenMs, outcome.PerTokenMs);
            var result = outcome switch
            {
                { Error: { } error } => stored.Fail(text, error, now),
                { Stopped: true } => stored.Stop(text, now),
                _ => stored.Complete(text, outcome.FinishReason!, now),
            };
            result.OrThrow();
        }, CancellationToken.None);
        if (outcome.Reserved) await ledger.SettleAsync(RequestId(generation), generation.WorkspaceId, outcome.Tokens);
    }

    private static string RequestId(Generation generation) => $"gen-{generation.Id.Value:N}";

    [LoggerMessage(Level = LogLevel.Error, Message = "Generation {GenerationId} ended by a fault")]
    private static partial void LogFault(ILogger logger, Exception fault, GenerationId generationId);

    /// <summary>How an answer came along and ended.</summary>
    private sealed class Outcome
    {
        private TimeSpan _first, _last;
        private int _chunks;

        public bool Reserved { get; set; }
        public bool Stopped { get; set; }
        public Error? Error { get; set; }
        public string? FinishReason { get; set; }
        public TokenCount Tokens { get; set; }
        public double? FirstTokenMs => _chunks == 0 ? null : _first.TotalMilliseconds;
        public double? PerTokenMs => _chunks < 2 ? null : (_last - _first).TotalMilliseconds / Math.Max(1, Math.Max(_chunks, Tokens.Completion) - 1);

        public void Token(TimeSpan at)
        {
            if (_chunks++ == 0) _first = at;
            _last = at;
        }
    }
}
