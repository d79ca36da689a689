using Microsoft.AspNetCore.Components;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Jobs;
using TokenMill.Web.Lineage;

namespace TokenMill.Web.Features.Evaluation.Pages;

/// <summary>One evaluation: metrics with their intervals, then each item with both answers. The order of the items is in the address.</summary>
public sealed partial class EvaluationPage
{
    private const int PageSize = 20;

    private enum ItemOrder { Regressions, Gains, Likelihood, Row }

    private static readonly IReadOnlyList<(ItemOrder Order, string Title)> Orders =
        [(ItemOrder.Regressions, "Regressions first"), (ItemOrder.Gains, "Gains first"), (ItemOrder.Likelihood, "Less likely first"), (ItemOrder.Row, "By row")];

    private EvaluationRun? _run;
    private EvaluationSummary? _summary;
    private EvaluationOptions? _options;
    private IReadOnlyList<EvaluationItem> _all = [], _items = [], _aside = [];
    private IReadOnlyList<LineageStage> _lineage = [];
    private ItemOrder _order;
    private int _page;
    private bool _mayChange;

    [Inject] private LineageTracer Lineage { get; set; } = default!;
    [Inject] private JobQueue Queue { get; set; } = default!;

    [Inject] private NavigationManager Navigation { get; set; } = default!;

    [Parameter] public Guid Id { get; set; }
    [SupplyParameterFromQuery(Name = "sort")] public string? SortedBy { get; set; }

    protected override IReadOnlySet<Type> Watches { get; } = new HashSet<Type> { typeof(EvaluationRun) };

    protected override async Task LoadAsync(Actor actor)
    {
        _mayChange = actor.May(Role.Member);
        var id = new EvaluationRunId(Id);
        await using (var db = Database.Open(actor.WorkspaceId))
        {
            _run = await db.EvaluationRuns.AsNoTracking().SingleOrDefaultAsync(r => r.Id == id, Gone)
                ?? throw new RefusedException("evaluation-not-found", "There is no such evaluation in this workspace", "go back to the list");
            _all = await db.EvaluationItems.AsNoTracking().Where(i => i.RunId == id).OrderBy(i => i.Index).ToListAsync(Gone);
        }
        _aside = [.. _all.Where(i => i.SetAside is not null)];
        _options = EvaluationOptions.Parse(_run.OptionsJson);
        Arrange();
        _summary = EvaluationSummary.Parse(_run.SummaryJson);
        _lineage = await Lineage.OfEvaluationAsync(actor.WorkspaceId, id, Gone);
    }

    protected override void OnParametersSet()
    {
        if (OrderOf(SortedBy) == _order) return;
        _page = 0;
        Arrange();
    }

    /// <summary>Which rows these are, where that is not a matter of course.</summary>
    private string Selection => string.Join(' ', new[]
    {
        _options!.IsSample ? L["The fine-tune kept no rows aside: a tenth of all rows, at least {0}, is asked, chosen by the hash of the row. The tuned model has learned from them.", EvaluationOptions.MinSampleItems].Value
        : _options.HeldOut is { } share ? L["Only the rows that the fine-tune kept aside ({0}); it has not learned from them.", Display.Percent(share)].Value
        : L["All rows, also those that the fine-tune has learned from."].Value,
        _run!.TotalItems == EvaluationOptions.MaxItems ? L["An evaluation asks at most {0} rows, chosen by their hash.", Display.Number(EvaluationOptions.MaxItems)].Value : "",
    }.Where(s => s.Length > 0));

    private void Arrange()
    {
        _order = OrderOf(SortedBy);
        var scored = _all.Where(i => i.SetAside is null);
        _items = [.. _order switch
        {
            ItemOrder.Regressions => scored.OrderBy(i => ItemScores.Of(i).Difference("f1")).ThenBy(i => i.Index),
            ItemOrder.Gains => scored.OrderByDescending(i => ItemScores.Of(i).Difference("f1")).ThenBy(i => i.Index),
            ItemOrder.Likelihood => scored.OrderBy(i => i.TunedLogLikelihood - i.BaseLogLikelihood).ThenBy(i => i.Index),
            _ => scored,
        }];
    }

    private static ItemOrder OrderOf(string? sort) => Enum.TryParse<ItemOrder>(sort, ignoreCase: true, out var order) && Enum.IsDefined(order) ? order : ItemOrder.Regressions;

    private void Sort(ItemOrder order) => Navigation.NavigateTo(Navigation.GetUriWithQueryParameter("sort", order == ItemOrder.Regressions ? null : order.ToString().ToLowerInvariant()));

    private async Task CancelAsync()
    {
        var actor = await CurrentUser.RequireAsync(Role.Member, Gone);
        if (await Queue.FindForAsync(actor.WorkspaceId, JobKind.Evaluation, Id, Gone) is { } job) (await Queue.CancelAsync(actor.WorkspaceId, job.Id, Gone)).OrThrow();
        await ReloadAsync();
    }
}
