using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Components;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Web.Accounts;
using TokenMill.Web.Components;
using TokenMill.Web.Lineage;
using TokenMill.Web.Localisation;

namespace TokenMill.Web.Features.Deployments.Pages;

/// <summary>One deployment: where it stands and why, what the comparison with the trainer found, how it does, how to call it.</summary>
public sealed partial class DeploymentPage
{
    private const int StepsShown = 40;

    private Deployment? _deployment;
    private IReadOnlyList<LineageStage> _stages = [];
    private IReadOnlyList<DeploymentStep> _steps = [];
    private DeploymentOptions _options = new();
    private ParityReport? _parity;
    private WeightTypeReport? _weights;
    private ModelFacts _model = default!;
    private Use _use = new(0, 0, 0, 0);
    private Error? _refusal;
    private bool _may, _busy, _hasVariant;

    [Parameter] public Guid Id { get; set; }

    [Inject] private ChangeDeployment Changing { get; set; } = default!;
    [Inject] private ChooseWeights Weights { get; set; } = default!;
    [Inject] private LineageTracer Lineage { get; set; } = default!;
    [Inject] private ConfirmDialog Confirm { get; set; } = default!;
    [Inject] private NavigationManager Navigation { get; set; } = default!;

    protected override IReadOnlySet<Type> Watches { get; } = new HashSet<Type> { typeof(Deployment), typeof(DeploymentStep), typeof(UsageRecord) };

    private JsonArray Example => [new JsonObject { ["role"] = "user", ["content"] = L["Hello"].Value }];

    private string Sentence => _deployment! switch
    {
        { DesiredState: DesiredState.Stopped, State: not (DeploymentState.Stopped or DeploymentState.Failed) } => L["Its process is ending"],
        { State: DeploymentState.Pending, StateReason.Length: > 0 } d => L[d.StateReason].Value.AsSentence(),
        { State: DeploymentState.Pending } => L["It starts in a moment"],
        { State: DeploymentState.Checking } => L["Comparing the files with what was imported"],
        { State: DeploymentState.Loading } => L["Loading {0}", Display.Bytes(_model.SizeBytes)],
        { State: DeploymentState.Parity } => L["Comparing its answers with the trainer's, token by token"],
        { State: DeploymentState.Ready } d => L["Answering since {0}", Display.Time(d.StateSince)],
        { State: DeploymentState.Failed } d => L["Given up {0}; start it again when the reason is mended", Display.Time(d.StateSince)],
        var d => L["Stopped {0}; it takes no memory", Display.Time(d.StateSince)],
    };

    protected override async Task LoadAsync(Actor actor)
    {
        _may = actor.May(Role.Member);
        await using var db = Database.Open(actor.WorkspaceId);
        var id = DeploymentId.From(Id);
        var deployment = await db.Deployments.AsNoTracking().FirstOrDefaultAsync(d => d.Id == id && d.DeletedAt == null, Gone)
            ?? throw new RefusedException("deployment-not-found", "There is no such deployment", "look at the list of deployments");
        _model = await db.ModelVersions.Where(v => v.Id == deployment.ModelVersionId)
            .Join(db.Models, v => v.ModelId, m => m.Id, (v, m) => new ModelFacts(m.Id, m.Name, v.Number, v.Kind, v.SizeBytes)).SingleAsync(Gone);
        _steps = await db.DeploymentSteps.AsNoTracking().Where(s => s.DeploymentId == id).OrderByDescending(s => s.Id).Take(StepsShown).ToListAsync(Gone);
        var used = db.UsageRecords.Where(u => u.DeploymentId == id);
        _use = new Use(await used.CountAsync(Gone), await used.SumAsync(u => (long)u.PromptTokens, Gone), await used.SumAsync(u => (long)u.CachedTokens, Gone), await used.SumAsync(u => (long)u.CompletionTokens, Gone));
        if (_deployment?.State != deployment.State) _stages = await Lineage.OfDeploymentAsync(actor.WorkspaceId, id, Gone);
        _options = DeploymentOptions.Parse(deployment.OptionsJson);
        _parity = deployment.ParityJson is { } parity ? Json.Deserialize<ParityReport>(parity) : null;
        if (_options.MeasuresWeights)
        {
            var weights = (await DeployedModel.LoadAsync(db, deployment.ModelVersionId, Gone)).Weights;
            _weights = Weights.Known(weights);
            _hasVariant = _weights is not null && await Weights.FindAsync(weights, _weights.Type, Gone) is not null;
        }
        _deployment = deployment;
    }

    private async Task DeleteAsync()
    {
        if (!await Confirm.AskAsync(L["Delete {0}?", _deployment!.Name], L["Programs that call it get an error from now on. The model stays."], L["Delete"])) return;
        await ChangeAsync(ChangeDeployment.Change.Delete);
    }

    private async Task ChangeAsync(ChangeDeployment.Change change)
    {
        _busy = true;
        try
        {
            _refusal = (await Changing.RunAsync(await CurrentUser.RequireAsync(Role.Member, Gone), new(DeploymentId.From(Id), change), Gone)).Error;
            if (_refusal is null && change == ChangeDeployment.Change.Delete) Navigation.NavigateTo(Links.Deployments);
            else await ReloadAsync();
        }
        finally
        {
            _busy = false;
        }
    }

    private sealed record ModelFacts(ModelId Id, string Name, int Number, ModelKind Kind, long SizeBytes);

    private sealed record Use(int Requests, long Prompt, long Cached, long Completion);
}
