using TokenMill.Shared.Domain;
using TokenMill.Web.Components;

namespace TokenMill.Web.Features.Home;

/// <summary>One line of "Running and next": what it is, how far, and why it waits.</summary>
public sealed record QueuedWork(string Title, string Kind, string Href, JobState State, string WaitingReason, int Done, int Total, double? RemainingSeconds)
{
    public double? Share => Total > 0 ? Math.Min(1, Done / (double)Total) : null;

    public static QueuedWork Of(Job job, IReadOnlyList<FineTuneRun> runs, IReadOnlyList<EvaluationRun> evaluations)
    {
        if (job.Kind == JobKind.FineTune && runs.FirstOrDefault(r => r.Id.Value == job.SubjectId) is { } run)
            return new QueuedWork($"{run.Name} #{run.Number}", "Fine-tune", Links.FineTune(run.Id), job.State, job.WaitingReason, run.Step, run.TotalSteps, run.RemainingSeconds);
        if (job.Kind == JobKind.Evaluation && evaluations.FirstOrDefault(e => e.Id.Value == job.SubjectId) is { } evaluation)
            return new QueuedWork(evaluation.Name, "Evaluation", Links.Evaluation(evaluation.Id), job.State, job.WaitingReason, evaluation.CompletedItems, evaluation.TotalItems, null);
        return new QueuedWork(job.Title, "Dataset", Links.Queue, job.State, job.WaitingReason, 0, 0, null);
    }
}
