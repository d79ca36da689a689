using Microsoft.AspNetCore.Components;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.JsonLines;
using TokenMill.Web.Accounts;
using TokenMill.Web.Components;
using TokenMill.Web.Lineage;

namespace TokenMill.Web.Features.Datasets;

/// <summary>One version of a dataset: its rows, what was set aside and why, its tokens. Version and part are in the address.</summary>
public sealed partial class DatasetPage
{
    private const int PageSize = 25;

    private enum Part { Rows, Errors, Warnings }

    private Dataset? _dataset;
    private DatasetVersion? _version;
    private DatasetReport? _report;
    private DatasetTokens? _tokens;
    private IReadOnlyList<DatasetVersion> _versions = [];
    private IReadOnlyList<LineageStage> _lineage = [];
    private IReadOnlyList<ShownRow> _rows = [];
    private IReadOnlyList<RowFinding> _findings = [];
    private Part _part;
    private int _page, _total;
    private bool _mayChange, _counting;

    [Inject] private DatasetRows Rows { get; set; } = default!;
    [Inject] private DatasetImports Imports { get; set; } = default!;
    [Inject] private ImportDataset ImportDataset { get; set; } = default!;
    [Inject] private DeleteDataset DeleteDataset { get; set; } = default!;
    [Inject] private TokenCounts Counts { get; set; } = default!;
    [Inject] private LineageTracer Lineage { get; set; } = default!;
    [Inject] private ConfirmDialog Confirm { get; set; } = default!;
    [Inject] private NavigationManager Navigation { get; set; } = default!;

    [Parameter] public Guid Id { get; set; }
    [SupplyParameterFromQuery(Name = "version")] public int? Number { get; set; }
    [SupplyParameterFromQuery(Name = "show")] public string? Shown { get; set; }

    protected override IReadOnlySet<Type> Watches { get; } = new HashSet<Type> { typeof(Dataset), typeof(DatasetVersion), typeof(FineTuneRun) };

    private string Sentence => _version switch
    {
        { State: DatasetVersionState.Ready } v => v.Rows == v.GoodRows ? L["All {0} rows can be used.", Display.Number(v.Rows)] : L["{0} of {1} rows can be used; {2} are set aside.", Display.Number(v.GoodRows), Display.Number(v.Rows), Display.Number(v.Rows - v.GoodRows)],
        { State: DatasetVersionState.Importing } => L["The rows are being read; you may leave the page."],
        _ => "",
    };

    protected override async Task OnParametersSetAsync()
    {
        if (_dataset is null || (_dataset.Id.Value == Id && (Number ?? _versions[0].Number) == _version?.Number && PartOf(Shown) == _part)) return;
        _page = 0;
        await ReloadAsync();
    }

    protected override async Task LoadAsync(Actor actor)
    {
        _mayChange = actor.May(Role.Member);
        var id = new DatasetId(Id);
        await using (var db = Database.Open(actor.WorkspaceId))
        {
            _dataset = await db.Datasets.AsNoTracking().SingleOrDefaultAsync(d => d.Id == id && d.DeletedAt == null, Gone)
                ?? throw new RefusedException("dataset-not-found", "There is no such dataset in this workspace", "go back to the list");
            _versions = await db.DatasetVersions.AsNoTracking().Where(v => v.DatasetId == id).OrderByDescending(v => v.Number).ToListAsync(Gone);
        }
        _version = _versions.FirstOrDefault(v => Number is null || v.Number == Number)
            ?? throw new RefusedException("version-not-found", "There is no such version of the dataset", "choose another");
        _report = _version.ReportJson is { } json ? Json.Deserialize<DatasetReport>(json) : null;
        (_tokens, _counting) = (DatasetTokens.Parse(_version.TokenStatisticsJson), Counts.IsRunning(_version.Id));
        _lineage = await Lineage.OfDatasetAsync(actor.WorkspaceId, _version.Id, Gone);
        _part = PartOf(Shown);
        await LoadPageAsync();
    }

    private async Task LoadPageAsync()
    {
        if (_report is null) return;
        var findings = _part == Part.Errors ? _report.Errors : _report.Warnings;
        _total = _part == Part.Rows ? _version!.GoodRows : findings.Count;
        _page = Math.Clamp(_page, 0, Math.Max(0, (_total - 1) / PageSize));
        _findings = _part == Part.Rows ? [] : [.. findings.Skip(_page * PageSize).Take(PageSize)];
        _rows = _part == Part.Rows ? await Rows.ReadAsync(_version!, _page * PageSize, PageSize, Gone) : [];
    }

    private static Part PartOf(string? shown) => Enum.TryParse<Part>(shown, ignoreCase: true, out var part) ? part : Part.Rows;

    private string Pressed(Part part) => _part == part ? "true" : "false";

    private void Show(Part part) => Navigation.NavigateTo(Navigation.GetUriWithQueryParameter("show", part == Part.Rows ? null : part.ToString().ToLowerInvariant()));

    private async Task TurnAsync(int page)
    {
        _page = page;
        await LoadPageAsync();
    }

    private async Task CountAsync()
    {
        await CurrentUser.RequireAsync(Role.Member, Gone);
        Counts.Begin(_version!.WorkspaceId, _version.Id);
        _counting = true;
    }

    private async Task<Error?> ImportAsync(string fileName, string path)
    {
        var actor = await CurrentUser.RequireAsync(Role.Member, Gone);
        var result = await ImportDataset.RunAsync(actor, new ImportDataset.Command(_dataset!.Id, null, fileName, path), Gone);
        if (result.IsOk) Navigation.NavigateTo(Links.Dataset(_dataset.Id));
        return result.Error;
    }

    private async Task DeleteAsync()
    {
        if (!await Confirm.AskAsync(L["Delete {0}?", _dataset!.Name], L["It leaves the lists with all its versions; what was made from it stays."], L["Delete"])) return;
        (await DeleteDataset.RunAsync(await CurrentUser.RequireAsync(Role.Member, Gone), _dataset.Id, Gone)).OrThrow();
        Navigation.NavigateTo(Links.Datasets);
    }
}
