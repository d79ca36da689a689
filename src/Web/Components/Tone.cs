using TokenMill.Shared.Domain;

namespace TokenMill.Web.Components;

/// <summary>What a state means to a person: colour and shape of its pill.</summary>
public enum Tone { Neutral, Running, Good, Waiting, Trouble }

/// <summary>The pill of each state: its tone and its English word, which is looked up in the reader's language.</summary>
public static class States
{
    public static (Tone Tone, string Word) Pill(this FineTuneRunState state) => state switch
    {
        FineTuneRunState.Queued => (Tone.Waiting, "Waiting"),
        FineTuneRunState.Starting => (Tone.Running, "Starting"),
        FineTuneRunState.Running => (Tone.Running, "Training"),
        FineTuneRunState.Paused => (Tone.Waiting, "Paused"),
        FineTuneRunState.Succeeded => (Tone.Good, "Finished"),
        FineTuneRunState.Failed => (Tone.Trouble, "Failed"),
        _ => (Tone.Neutral, "Cancelled"),
    };

    public static (Tone Tone, string Word) Pill(this EvaluationRunState state) => state switch
    {
        EvaluationRunState.Queued => (Tone.Waiting, "Waiting"),
        EvaluationRunState.Running => (Tone.Running, "Evaluating"),
        EvaluationRunState.Succeeded => (Tone.Good, "Finished"),
        EvaluationRunState.Failed => (Tone.Trouble, "Failed"),
        _ => (Tone.Neutral, "Cancelled"),
    };

    public static (Tone Tone, string Word) Pill(this DeploymentState state) => state switch
    {
        DeploymentState.Pending => (Tone.Waiting, "Waiting"),
        DeploymentState.Checking => (Tone.Running, "Checking"),
        DeploymentState.Loading => (Tone.Running, "Loading"),
        DeploymentState.Parity => (Tone.Running, "Comparing"),
        DeploymentState.Ready => (Tone.Good, "Ready"),
        DeploymentState.Failed => (Tone.Trouble, "Failed"),
        _ => (Tone.Neutral, "Stopped"),
    };

    public static (Tone Tone, string Word) Pill(this JobState state) => state switch
    {
        JobState.Waiting => (Tone.Waiting, "Waiting"),
        JobState.Running => (Tone.Running, "Running"),
        JobState.Paused => (Tone.Waiting, "Paused"),
        JobState.Succeeded => (Tone.Good, "Finished"),
        JobState.Failed => (Tone.Trouble, "Failed"),
        _ => (Tone.Neutral, "Cancelled"),
    };

    public static (Tone Tone, string Word) Pill(this DatasetVersionState state) => state switch
    {
        DatasetVersionState.Importing => (Tone.Running, "Importing"),
        DatasetVersionState.Ready => (Tone.Good, "Ready"),
        _ => (Tone.Trouble, "Failed"),
    };
}
