namespace TokenMill.Shared.Domain;

/// <summary>One row answered by both models and scored, or set aside with its reason; (run, index) is unique.</summary>
public sealed class EvaluationItem(WorkspaceId workspaceId, EvaluationRunId runId, int index, string promptJson, string reference) : IWorkspaceOwned
{
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public EvaluationRunId RunId { get; private set; } = runId;

    /// <summary>The record in the dataset version, from 0.</summary>
    public int Index { get; private set; } = index;

    /// <summary>The messages before the reference answer.</summary>
    public string PromptJson { get; private set; } = promptJson;
    public string Reference { get; private set; } = reference;
    public string BaseAnswer { get; init; } = "";
    public string TunedAnswer { get; init; } = "";

    /// <summary>{"base":{metric:value},"tuned":{metric:value}}; empty for a row that was set aside.</summary>
    public string ScoresJson { get; init; } = "{}";

    /// <summary>Mean log-likelihood per reference token, in nats.</summary>
    public double? BaseLogLikelihood { get; init; }
    public double? TunedLogLikelihood { get; init; }
    public int ReferenceTokens { get; init; }

    /// <summary>Why the row could not be asked or scored; it counts in no score.</summary>
    public Error? SetAside { get; init; }
}
