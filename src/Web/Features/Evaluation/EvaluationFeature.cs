using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Web.Components;
using TokenMill.Web.Components.Layout;
using TokenMill.Web.Jobs;

namespace TokenMill.Web.Features.Evaluation;

/// <summary>Evaluations: base against tuned, item by item.</summary>
public static class EvaluationFeature
{
    public static IServiceCollection AddEvaluation(this IServiceCollection services)
    {
        services.AddSingleton<StartEvaluation>().AddSingleton<EvaluationRows>().AddSingleton<IJobHandler, EvaluationJob>();
        services.AddSingleton(new NavigationEntry(PipelineStep.Prove, "Evaluations", Links.Evaluations, Icons.Evaluations)
        {
            Watches = [typeof(EvaluationRun)],
            Count = async (db, cancellationToken) => await db.EvaluationRuns.CountAsync(r => r.State == EvaluationRunState.Running, cancellationToken) is > 0 and var live ? new NavigationCount(live, IsLive: true) : null,
        });
        return services;
    }
}
