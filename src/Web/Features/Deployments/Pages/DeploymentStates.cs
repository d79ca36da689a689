using TokenMill.Shared.Domain;
using TokenMill.Web.Components;

namespace TokenMill.Web.Features.Deployments.Pages;

/// <summary>What a deployment's state looks like to a person, with what they have just asked of it.</summary>
public static class DeploymentStates
{
    /// <summary>The pill: between the click on Stop and the end of the process it is stopping.</summary>
    public static (Tone Tone, string Word) Shown(this Deployment deployment) =>
        deployment is { DesiredState: DesiredState.Stopped, State: not (DeploymentState.Stopped or DeploymentState.Failed) } ? (Tone.Running, "Stopping") : deployment.State.Pill();

    public static bool IsOff(this Deployment deployment) => deployment.State is DeploymentState.Stopped or DeploymentState.Failed;

    public static (Tone Tone, string Word) Pill(this DeploymentStepState state) => state switch
    {
        DeploymentStepState.Running => (Tone.Running, "Running"),
        DeploymentStepState.Done => (Tone.Good, "Done"),
        DeploymentStepState.Failed => (Tone.Trouble, "Failed"),
        _ => (Tone.Waiting, "Left out"),
    };

    /// <summary>The word for a step of the log.</summary>
    public static string StepWord(string step) => step switch
    {
        "check" => "Check the files",
        "weights" => "Choose the weights",
        "load" => "Load",
        "parity" => "Compare with the trainer",
        "ready" => "Ready",
        "serve" => "Serve",
        _ => "Stop",
    };
}
