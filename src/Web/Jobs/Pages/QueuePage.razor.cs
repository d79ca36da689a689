using Microsoft.AspNetCore.Components;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Components;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Jobs.Pages;

/// <summary>What runs, what waits and why. Members see and steer the jobs of their workspace, administrators those of the whole machine.</summary>
public sealed partial class QueuePage
{
    private IReadOnlyList<QueueEntry>? _entries;
    private Error? _refusal;
    private long _totalBytes, _usedBytes;
    private bool _administers, _may, _busy;

    [SupplyParameterFromQuery(Name = "of")] private string? Of { get; set; }

    [Inject] private QueueView View { get; set; } = default!;
    [Inject] private JobQueue Queue { get; set; } = default!;
    [Inject] private MachineFacts Machine { get; set; } = default!;
    [Inject] private ConfirmDialog Confirm { get; set; } = default!;

    protected override IReadOnlySet<Type> Watches { get; } = new HashSet<Type> { typeof(Job), typeof(FineTuneRun), typeof(EvaluationRun) };

    private bool Everyone => _administers && Of == "all";
    private int Running => _entries?.Count(e => e.Job.State == JobState.Running) ?? 0;

    private string? Sentence => _entries is null ? null : L["{0} running, {1} waiting, {2} failed today",
        Running, _entries.Count(e => e.Job.State == JobState.Waiting), _entries.Count(e => e.Job.State == JobState.Failed)].Value;

    protected override async Task OnParametersSetAsync()
    {
        if (_entries is not null) await ReloadAsync();       // another choice of "whose jobs"
    }

    protected override async Task LoadAsync(Actor actor)
    {
        (_may, _administers) = (actor.May(Role.Member), actor.May(Role.Administrator));
        _entries = await View.ReadAsync(Scope(actor), Gone);
        var (total, available) = Machine.Memory();
        (_totalBytes, _usedBytes) = (total, total - available);
    }

    private WorkspaceScope Scope(Actor actor) => actor.May(Role.Administrator) && Of == "all" ? WorkspaceScope.All : actor.WorkspaceId;

    private async Task CancelAsync(Job job)
    {
        if (await Confirm.AskAsync(L["Cancel {0}?", job.Title], L["What it has done so far is not used any more."], L["Cancel job"])) await ActAsync(job, Queue.CancelAsync);
    }

    private async Task ActAsync(Job job, Func<WorkspaceScope, JobId, CancellationToken, Task<Result>> action)
    {
        _busy = true;
        try
        {
            var actor = await CurrentUser.RequireAsync(Role.Member, Gone);
            _refusal = (await action(Scope(actor), job.Id, Gone)).Error;
            await ReloadAsync();
        }
        catch (RefusedException e)
        {
            _refusal = e.Error;
        }
        finally
        {
            _busy = false;
        }
    }

    private static string? Href(Job job) => job.Kind switch
    {
        JobKind.FineTune => Links.FineTune(FineTuneRunId.From(job.SubjectId)),
        JobKind.Evaluation => Links.Evaluation(EvaluationRunId.From(job.SubjectId)),
        _ => null,
    };

    private static string Kind(JobKind kind) => kind switch
    {
        JobKind.FineTune => "Fine-tune",
        JobKind.Evaluation => "Evaluation",
        JobKind.DatasetImport => "Dataset import",
        _ => "Token count",
    };
}
