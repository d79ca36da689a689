using TokenMill.Shared.Domain;
using TokenMill.Web.Components;

namespace TokenMill.Web.Features.Home;

/// <summary>Something that waits for a person: what, why and where to act.</summary>
public sealed record Concern(Tone Tone, string Word, string Title, string Href, Error Error)
{
    /// <summary>Fine-tunes that failed lately and were not tried again since.</summary>
    public static IEnumerable<Concern> Of(IReadOnlyList<FineTuneRun> runs, DateTimeOffset since) =>
        from run in runs
        where run.State == FineTuneRunState.Failed && run.FinishedAt > since && run.Error is not null
        where !runs.Any(later => later.Number > run.Number && later.DatasetVersionId == run.DatasetVersionId && later.BaseVersionId == run.BaseVersionId)
        select new Concern(Tone.Trouble, "Failed", $"{run.Name} #{run.Number}", Links.FineTune(run.Id), run.Error!);

    public static IEnumerable<Concern> Of(IReadOnlyList<EvaluationRun> evaluations, DateTimeOffset since) =>
        from evaluation in evaluations
        where evaluation.State == EvaluationRunState.Failed && evaluation.FinishedAt > since && evaluation.Error is not null
        select new Concern(Tone.Trouble, "Failed", evaluation.Name, Links.Evaluation(evaluation.Id), evaluation.Error!);

    public static IEnumerable<Concern> Of(IReadOnlyList<Deployment> deployments) =>
        from deployment in deployments
        where deployment is { State: DeploymentState.Failed, Error: not null }
        select new Concern(Tone.Trouble, "Failed", deployment.Name, Links.Deployment(deployment.Id), deployment.Error!);

    /// <summary>A dataset whose newest version has no usable row.</summary>
    public static IEnumerable<Concern> Of(Dataset dataset, IReadOnlyList<(int Rows, int GoodRows)> versions)
    {
        if (versions is [(var rows, 0), ..])
            yield return new Concern(Tone.Waiting, "Data", dataset.Name, Links.Dataset(dataset.Id), new Error("no-good-rows", $"None of its {rows} rows is usable", "open the dataset, correct the rows named there and import it again"));
    }
}
