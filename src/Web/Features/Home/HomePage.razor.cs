using TokenMill.Shared.Domain;
using TokenMill.Web.Accounts;
using TokenMill.Web.Components;
using TokenMill.Web.Components.Charts;

namespace TokenMill.Web.Features.Home;

/// <summary>The workspace at a glance: each step of the pipeline, what runs, what waits for a person.</summary>
public sealed partial class HomePage
{
    private HomeSummary? _summary;
    private string _workspace = "";
    private bool _mayMake;

    protected override IReadOnlySet<Type> Watches { get; } = new HashSet<Type>
    {
        typeof(Dataset), typeof(DatasetVersion), typeof(FineTuneRun), typeof(EvaluationRun), typeof(Deployment), typeof(Job), typeof(UsageRecord),
    };

    protected override async Task LoadAsync(Actor actor)
    {
        (_workspace, _mayMake) = (actor.WorkspaceName, actor.May(Role.Member));
        await using var db = Database.Open(actor.WorkspaceId);
        _summary = await HomeSummary.ReadAsync(db, Time.GetUtcNow(), Display.TimeZone, Gone);
    }

    private bool Exists(string href) => Entries.Any(e => e.Href == href);

    private string Sentence(QueuedWork work) => work switch
    {
        { State: JobState.Running, Kind: "Fine-tune", Total: > 0 } => L["Fine-tune, step {0} of {1}", work.Done, work.Total],
        { State: JobState.Running, Kind: "Evaluation", Total: > 0 } => L["Evaluation, {0} of {1} items", work.Done, work.Total],
        { WaitingReason.Length: > 0 } => L[work.WaitingReason],
        _ => L[work.Kind],
    };

    private (bool Done, string Text, string Href)[] Steps(HomeSummary now) =>
    [
        (now.Datasets > 0, L["Import your data"], Links.Datasets),
        (now.RunsFinished > 0, L["Fine-tune on it"], Links.NewFineTune()),
        (now.Evaluations > 0, L["Compare it with the base"], Links.Evaluations),
        (now.DeploymentsReady > 0, L["Deploy it and talk to it"], Links.Deployments),
        (now.HasCalledByKey, L["Call it from your program"], Links.Keys),
    ];

    private ChartSeries[] Tokens(HomeSummary now) => [new(L["generated"], 1, now.Generated), new(L["from cache"], 6, now.FromCache)];

    /// <summary>A clock time for the chart: x counts hours back from now.</summary>
    private string Hour(double x) => TimeZoneInfo.ConvertTime(Time.GetUtcNow().AddHours(x), Display.TimeZone).ToString("HH:00", System.Globalization.CultureInfo.CurrentCulture);
}
