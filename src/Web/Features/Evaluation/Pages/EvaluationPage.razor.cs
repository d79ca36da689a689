using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Components;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Jobs;
using TokenMill.Web.Lineage;

namespace TokenMill.Web.Features.Evaluation.Pages;

/// <summary>One evaluation: metrics with their intervals, then each item with both answers, the worst regressions first.</summary>
public sealed partial class EvaluationPage
{
    private const int PageSize = 20;

    private EvaluationRun? _run;
    private EvaluationSummary? _summary;
    private IReadOnlyList<ShownItem> _items = [];
    private IReadOnlyList<LineageStage> _lineage = [];
    private int _page;
    private bool _mayChange;

    [Inject] private LineageTracer Lineage { get; set; } = default!;
    [Inject] private JobQueue Queue { get; set; } = default!;

    [Parameter] public Guid Id { get; set; }

    protected override IReadOnlySet<Type> Watches { get; } = new HashSet<Type> { typeof(EvaluationRun) };

    protected override async Task LoadAsync(Actor actor)
    {
        _mayChange = actor.May(Role.Member);
        var id = new EvaluationRunId(Id);
        await using (var db = Database.Open(actor.WorkspaceId))
        {
            _run = await db.EvaluationRuns.AsNoTracking().SingleOrDefaultAsync(r => r.Id == id, Gone)
                ?? throw new RefusedException("evaluation-not-found", "There is no such evaluation in this workspace", "go back to the list");
            var items = await db.EvaluationItems.AsNoTracking().Where(i => i.RunId == id).ToListAsync(Gone);
            _items = [.. items.Select(ShownItem.Of).OrderBy(i => i.Tuned - i.Base).ThenBy(i => i.Item.Index)];
        }
        _summary = EvaluationSummary.Parse(_run.SummaryJson);
        _lineage = await Lineage.OfEvaluationAsync(actor.WorkspaceId, id, Gone);
    }

    private async Task CancelAsync()
    {
        var actor = await CurrentUser.RequireAsync(Role.Member, Gone);
        if (await Queue.FindForAsync(actor.WorkspaceId, JobKind.Evaluation, Id, Gone) is { } job) (await Queue.CancelAsync(actor.WorkspaceId, job.Id, Gone)).OrThrow();
        await ReloadAsync();
    }

    private static string Title(string metric) => metric switch { "f1" => "Token F1", "rougeL" => "ROUGE-L", "exact_match" => "Exact match", _ => "Log-likelihood a token" };

    private string Score(double value) => value.ToString("0.000;−0.000;0.000", System.Globalization.CultureInfo.CurrentCulture);

    private string Signed(double value) => value.ToString("+0.000;−0.000;0.000", System.Globalization.CultureInfo.CurrentCulture);

    /// <summary>An item with its last question and its F1 on both sides.</summary>
    private sealed record ShownItem(EvaluationItem Item, string Prompt, double Base, double Tuned)
    {
        public static ShownItem Of(EvaluationItem item)
        {
            var scores = JsonNode.Parse(item.ScoresJson)!;
            var last = JsonNode.Parse(item.PromptJson)!.AsArray()[^1]!["content"];
            return new(item, last is JsonValue text ? text.GetValue<string>() : last?.ToJsonString() ?? "", scores["base"]!["f1"]!.GetValue<double>(), scores["tuned"]!["f1"]!.GetValue<double>());
        }
    }
}
