using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.SignalR;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>
/// Pushes a run's progress to a browser (or any SignalR client): first what happened after <c>afterSequence</c>, then what happens,
/// until the run has ended. A client that reconnects asks again with the last sequence it has, and misses nothing.
/// </summary>
[Authorize(Policies.Viewer)]
public sealed class RunHub(PlatformDatabase database, Access access, TimeProvider time) : Hub
{
    public const string Path = "/hubs/runs";

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);
    private const int MaxEvents = 500;

    /// <summary>State of the run and new events, each as the trainer wrote it.</summary>
    public sealed record Progress(string State, int Step, int TotalSteps, long LastSequence, IReadOnlyList<JsonNode> Events);

    public async IAsyncEnumerable<Progress> Follow(Guid runId, long afterSequence, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var id = FineTuneRunId.From(runId);
        var changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        changed.Writer.TryWrite(true);
        var workspace = (await RequireAsync(cancellationToken)).WorkspaceId;
        using var subscription = database.Changes.Subscribe(workspace, types =>
        {
            if (types.Contains(typeof(FineTuneRun)) || types.Contains(typeof(RunEvent))) changed.Writer.TryWrite(true);
        });
        while (await changed.Reader.WaitToReadAsync(cancellationToken))
        {
            changed.Reader.TryRead(out _);
            if ((await RequireAsync(cancellationToken)).WorkspaceId != workspace) yield break;
            await using var db = database.Open(workspace);
            var run = await db.FineTuneRuns.AsNoTracking().FirstOrDefaultAsync(r => r.Id == id, cancellationToken) ?? throw new HubException(RunNotFound.Error.ToString());
            var events = await db.RunEvents.AsNoTracking().Where(e => e.RunId == id && e.Sequence > afterSequence).OrderBy(e => e.Sequence).Take(MaxEvents).ToListAsync(cancellationToken);
            if (events.Count > 0) afterSequence = events[^1].Sequence;
            yield return new Progress(run.State.ToString(), run.Step, run.TotalSteps, afterSequence, [.. events.Select(e => JsonNode.Parse(e.Json)!)]);
            if (events.Count == MaxEvents) changed.Writer.TryWrite(true);
            else if (run.IsFinished) yield break;
            await Task.Delay(Interval, time, cancellationToken);
        }
    }

    /// <summary>Rights of now, not of when the connection was opened.</summary>
    private async Task<Actor> RequireAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await access.RequireAsync(Context.User!, Role.Viewer, cancellationToken);
        }
        catch (RefusedException e)
        {
            throw new HubException(e.Error.ToString());
        }
    }
}
