namespace TokenMill.Shared.Domain;

/// <summary>One row answered by both models and scored; (run, index) is unique.</summary>
public sealed class EvaluationItem(WorkspaceId workspaceId, EvaluationRunId runId, int index, string promptJson, string reference) : IWorkspaceOwned
{
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public EvaluationRunId RunId { get; private set; } = runId;

    /// <summary>The record in the dataset version, from 0.</summary>
    public int Index { get; private set; } = index;

    /// <summary>The messages before the reference answer.</summary>
    public string PromptJson { get; private set; } = promptJson;
    public string Reference { get; private set; } = reference;
    public required string BaseAnswer { get; init; }
    public required string TunedAnswer { get; init; }

    /// <summary>{"base":{metric:value},"tuned":{metric:value}}</summary>
    public required string ScoresJson { get; init; }

    /// <summary>Mean log-likelihood per reference token, in nats.</summary>
    public double? BaseLogLikelihood { get; init; }
    public double? TunedLogLikelihood { get; init; }
    public int ReferenceTokens { get; init; }
}
