using Microsoft.AspNetCore.Components;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats;
using TokenMill.Web.Accounts;
using TokenMill.Web.Components;
using TokenMill.Web.Lineage;

namespace TokenMill.Web.Features.Models.Pages;

/// <summary>One version of a model: what it is, what it can do here, where it comes from. The version is in the address.</summary>
public sealed partial class ModelPage
{
    private Model? _model;
    private ModelVersion? _version;
    private ModelInspection? _facts;
    private Error? _refusal;
    private IReadOnlyList<ModelVersion> _versions = [];
    private IReadOnlyList<LineageStage> _lineage = [];
    private bool _mayChange;

    [Inject] private DeleteModel DeleteModel { get; set; } = default!;
    [Inject] private LineageTracer Lineage { get; set; } = default!;
    [Inject] private ConfirmDialog Confirm { get; set; } = default!;
    [Inject] private NavigationManager Navigation { get; set; } = default!;

    [Parameter] public Guid Id { get; set; }
    [SupplyParameterFromQuery(Name = "version")] public int? Number { get; set; }

    protected override IReadOnlySet<Type> Watches { get; } = new HashSet<Type> { typeof(Model), typeof(ModelVersion), typeof(EvaluationRun), typeof(Deployment) };

    private string Types => string.Join(", ", _facts?.Types?.OrderByDescending(t => t.Value).Select(t => t.Key) ?? []);

    protected override async Task OnParametersSetAsync()
    {
        if (_model is null || (_model.Id.Value == Id && (Number ?? _versions[0].Number) == _version?.Number)) return;
        await ReloadAsync();
    }

    protected override async Task LoadAsync(Actor actor)
    {
        _mayChange = actor.May(Role.Member);
        var id = new ModelId(Id);
        await using (var db = Database.Open(actor.WorkspaceId))
        {
            _model = await db.Models.AsNoTracking().SingleOrDefaultAsync(m => m.Id == id && m.DeletedAt == null, Gone)
                ?? throw new RefusedException("model-not-found", "There is no such model in this workspace", "go back to the list");
            _versions = await db.ModelVersions.AsNoTracking().Where(v => v.ModelId == id).OrderByDescending(v => v.Number).ToListAsync(Gone);
        }
        _version = _versions.FirstOrDefault(v => Number is null || v.Number == Number)
            ?? throw new RefusedException("version-not-found", "There is no such version of the model", "choose another");
        _facts = _version.InspectionJson is { } json ? Json.Deserialize<ModelInspection>(json) : null;
        _lineage = await Lineage.OfModelAsync(actor.WorkspaceId, _version.Id, Gone);
    }

    private async Task DeleteAsync()
    {
        if (!await Confirm.AskAsync(L["Delete {0}?", _model!.Name], L["It leaves the lists with all its versions; what was made from it stays."], L["Delete"])) return;
        var result = await DeleteModel.RunAsync(await CurrentUser.RequireAsync(Role.Member, Gone), _model.Id, Gone);
        _refusal = result.Error;
        if (result.IsOk) Navigation.NavigateTo(Links.Models);
    }
}
