using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Hosting;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>
/// What a run would cost, before it starts: the trainer says so, in a process of its own. The first time with a model it makes a short
/// trial on this machine; it is ended when nobody waits for the answer any more.
/// </summary>
public sealed class PlanFineTune(PlatformDatabase database, DataDirectory directory, RunFolders folders, ITrainer trainer, TimeProvider time)
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    public sealed record Command(DatasetVersionId DatasetVersionId, ModelVersionId BaseVersionId, FineTuneSettings Settings);

    public async Task<Result<FineTunePlan>> HandleAsync(Actor actor, Command command, CancellationToken cancellationToken)
    {
        actor.Require(Role.Member);
        if (command.Settings.Check() is [var (field, mistake), ..]) return mistake with { Message = $"{field}: {mistake.Message}" };
        await using var db = database.Open(actor.WorkspaceId);
        var data = await db.DatasetVersions.AsNoTracking().FirstOrDefaultAsync(v => v.Id == command.DatasetVersionId, cancellationToken);
        var model = await db.ModelVersions.AsNoTracking().FirstOrDefaultAsync(v => v.Id == command.BaseVersionId, cancellationToken);
        if (data?.StorePath is not { } rows || model is null) return new Error("not-found", "This dataset or model is not there", "pick another");
        return await AskAsync(Json.Serialize(command.Settings.ToSpec(directory.Resolve(model.Path), directory.Resolve(rows), folders.Output(FineTuneRunId.New()), data.GoodRows)), cancellationToken);
    }

    public async Task<Result<FineTunePlan>> AskAsync(string spec, CancellationToken cancellationToken)
    {
        if (trainer.WhyMissing() is { } missing) return missing;
        var path = Path.Combine(Path.GetTempPath(), $"tokenmill-plan-{Guid.NewGuid():N}.json");
        await File.WriteAllTextAsync(path, spec, cancellationToken);
        try
        {
            await using var child = ChildProcess.Start(trainer.Plan(path), time);
            try
            {
                var answer = "";
                await foreach (var line in child.LinesAsync(cancellationToken)) answer = line;
                var exit = await child.Exited.WaitAsync(cancellationToken);
                return exit.Code == 0 ? Json.Deserialize<FineTunePlan>(answer) : Refusal(exit);
            }
            finally
            {
                await child.StopAsync(Grace);
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>The last line of stderr: <c>error: CODE: message; what to do</c>.</summary>
    private static Error Refusal(ChildExit exit)
    {
        var line = exit.Stderr.Split('\n').LastOrDefault(l => l.StartsWith("error: ", StringComparison.Ordinal));
        if (line?["error: ".Length..].Split(": ", 2) is not [var code, var rest]) return new Error("plan-failed", $"The forecast ended: {exit.Reason}", "start the run all the same; it says what is wrong");
        var remedy = rest.LastIndexOf("; ", StringComparison.Ordinal);
        return remedy < 0 ? new Error(code, rest, "") : new Error(code, rest[..remedy], rest[(remedy + 2)..]);
    }
}
