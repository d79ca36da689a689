using Microsoft.AspNetCore.Components;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Web.Accounts;
using TokenMill.Web.Components;
using TokenMill.Web.Components.Charts;
using TokenMill.Web.Jobs;
using TokenMill.Web.Lineage;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.FineTuning.Pages;

/// <summary>One run, live. All of it comes from the database, so a reload or another browser sees the same; new events are read, not all again.</summary>
public sealed partial class RunPage
{
    private readonly long _memoryBytes = new MachineFacts().Memory().TotalBytes;

    private RunHistory _history = new();
    private FineTuneRun? _run;
    private FineTuneSpec _spec = default!;
    private IReadOnlyList<LineageStage> _stages = [];
    private IReadOnlyList<ModelVersion> _results = [];
    private QueueEntry? _queued;
    private Error? _refusal;
    private string _model = "";
    private int _rows;
    private bool _may, _busy;
    private ChartView _view;

    private string MethodName => _spec.Method switch { TrainingMethod.Dpo => "Preferences between answers", TrainingMethod.Pretrain => "Plain text", _ => "Answers of conversations" };

    private string AdapterName => _spec.Adapter.Type switch { "rslora" => "rsLoRA", "dora" => "DoRA", "qlora" => "QLoRA", _ => "LoRA" };

    [Parameter] public Guid Id { get; set; }

    [SupplyParameterFromQuery(Name = "loss")] private string? ViewName { get; set; }

    [Inject] private PauseRun Pause { get; set; } = default!;
    [Inject] private ResumeRun Resume { get; set; } = default!;
    [Inject] private CancelRun Cancel { get; set; } = default!;
    [Inject] private QueueView Queue { get; set; } = default!;
    [Inject] private LineageTracer Lineage { get; set; } = default!;
    [Inject] private ConfirmDialog Confirm { get; set; } = default!;
    [Inject] private NavigationManager Navigation { get; set; } = default!;

    protected override IReadOnlySet<Type> Watches { get; } = new HashSet<Type> { typeof(FineTuneRun), typeof(RunEvent), typeof(Job), typeof(Deployment), typeof(EvaluationRun) };

    private FineTuneRunId RunId => FineTuneRunId.From(Id);

    private double? Speed => _run is { IsActive: true } ? _run.TokensPerSecond : _history.Speed.Count == 0 ? null : _history.Speed.Average(p => p.Y);

    private (Tone, string) Pill => _run switch
    {
        { Request: RunRequest.Pause } => (Tone.Running, "Pausing"),
        { Request: RunRequest.Cancel } => (Tone.Running, "Cancelling"),
        _ => _run!.State.Pill(),
    };

    private string Sentence => _run! switch
    {
        { State: FineTuneRunState.Queued } => _queued is null ? L["It starts in a moment"] : QueueText.Why(_queued, L, Display),
        { State: FineTuneRunState.Starting } when _history.Reference is { } reference && reference.Done < reference.Pairs => L["Measuring both answers with the model it starts from: {0} of {1} pairs", Display.Number(reference.Done), Display.Number(reference.Pairs)],
        { State: FineTuneRunState.Starting } => L["Loading the model and preparing the data"],
        { State: FineTuneRunState.Running, RemainingSeconds: { } seconds, TotalSteps: > 0 } run => L["step {0} of {1} · {2} · about {3} left, done at {4}",
            Display.Number(run.Step), Display.Number(run.TotalSteps), Display.Percent((double)run.Step / run.TotalSteps), Display.Duration(TimeSpan.FromSeconds(seconds)), Display.Time(Time.GetUtcNow().AddSeconds(seconds))],
        { State: FineTuneRunState.Running } => L["The first step is under way"],
        { State: FineTuneRunState.Paused } run => L["Stopped at step {0} of {1}; resume it to go on from there", Display.Number(run.Step), Display.Number(run.TotalSteps)],
        { State: FineTuneRunState.Succeeded, FinishedAt: { } at, StartedAt: { } from } run => L["{0} steps in {1}, ended {2}", Display.Number(run.Step), Display.Duration(at - from), Display.Time(at)],
        { State: FineTuneRunState.Failed } run => L["Stopped at step {0}; what is saved stays", Display.Number(run.Step)],
        { State: FineTuneRunState.Cancelled } run => L["Cancelled at step {0}", Display.Number(run.Step)],
        _ => "",
    };

    private string EmptyChart => _run!.State switch
    {
        FineTuneRunState.Queued => L["The curve begins when the run does"],
        FineTuneRunState.Starting or FineTuneRunState.Running => L["The first values come with the first step"],
        _ => L["No step was trained"],
    };

    protected override void OnParametersSet() => _view = Enum.TryParse<ChartView>(ViewName, ignoreCase: true, out var view) ? view : ChartView.Smooth;

    protected override async Task LoadAsync(Actor actor)
    {
        _may = actor.May(Role.Member);
        await using var db = Database.Open(actor.WorkspaceId);
        var run = await db.FineTuneRuns.AsNoTracking().FirstOrDefaultAsync(r => r.Id == RunId, Gone) ?? throw new RefusedException(RunNotFound.Error);
        if (_run?.Id != run.Id)
        {
            _history = new RunHistory();
            _spec = FineTuneSpec.Parse(run.SpecJson);
            _rows = await db.DatasetVersions.Where(v => v.Id == run.DatasetVersionId).Select(v => v.GoodRows).FirstAsync(Gone);
            _model = await db.ModelVersions.Where(v => v.Id == run.BaseVersionId).Join(db.Models, v => v.ModelId, m => m.Id, (v, m) => m.Name + " v" + v.Number).FirstAsync(Gone);
        }
        _history.Add(await db.RunEvents.AsNoTracking().Where(e => e.RunId == run.Id && e.Sequence > _history.LastSequence).OrderBy(e => e.Sequence).ToListAsync(Gone));
        if (_run is null || _run.State != run.State) _results = await db.ModelVersions.AsNoTracking().Where(v => v.FineTuneRunId == run.Id).OrderBy(v => v.Number).ToListAsync(Gone);
        if (_run is null || _run.State != run.State || run.IsFinished) _stages = await Lineage.OfFineTuneAsync(actor.WorkspaceId, run.Id, Gone);
        _queued = run.State == FineTuneRunState.Queued ? (await Queue.ReadAsync(actor.WorkspaceId, Gone)).FirstOrDefault(e => e.Job.SubjectId == run.Id.Value) : null;
        _run = run;
    }

    private void ChangeView(ChartView view) => Navigation.NavigateTo(Navigation.GetUriWithQueryParameter("loss", view == ChartView.Smooth ? null : view.ToString().ToLowerInvariant()), replace: true);

    private async Task CancelAsync()
    {
        var loss = _history.Checkpoints.Count == 0 ? L["It has trained {0} steps; no model is made of them.", _run!.Step] : L["Its {0} checkpoints are not used any more; no model is made of them. Pause it instead to keep them.", _history.Checkpoints.Count];
        if (await Confirm.AskAsync(L["Cancel {0}?", $"{_run!.Name} #{_run.Number}"], loss, L["Cancel run"])) await ActAsync(Cancel.HandleAsync);
    }

    private async Task ActAsync(Func<Actor, FineTuneRunId, CancellationToken, Task<Result>> action)
    {
        _busy = true;
        try
        {
            _refusal = (await action(await CurrentUser.RequireAsync(Role.Member, Gone), RunId, Gone)).Error;
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
}
