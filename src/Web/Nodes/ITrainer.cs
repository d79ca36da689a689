using TokenMill.Shared.Domain;

namespace TokenMill.Web.Nodes;

/// <summary>The program that trains on this machine.</summary>
public interface ITrainer
{
    /// <summary>Why it cannot run here now, or null.</summary>
    Error? WhyMissing();

    ChildProgram Program(string specPath, string runToken, bool resume);

    /// <summary>Says what a run would cost (<see cref="Shared.Jobs.FineTunePlan"/>) on one line of stdout.</summary>
    ChildProgram Plan(string specPath);
}

/// <summary>Our trainer over libtorch.</summary>
public sealed class LibtorchTrainer(MachineFacts machine) : ITrainer
{
    public Error? WhyMissing() => machine.CanTrain ? null : new Error("libtorch-missing", "Fine-tuning needs libtorch, and the trainer's binding to it is not built",
        "install it (apt-get install libtorch-dev libopenblas0-pthread g++ cmake), then start the platform again with ./run");

    public ChildProgram Program(string specPath, string runToken, bool resume)
    {
        List<string> arguments = ["train", specPath, "--run", runToken, "--parent-pipe"];
        if (resume) arguments.Add("--resume");
        return ChildProgram.Sibling("Training", arguments) with { Priority = Priority.Training };
    }

    public ChildProgram Plan(string specPath) => ChildProgram.Sibling("Training", "train", specPath, "--plan", "--json", "--parent-pipe") with { Priority = Priority.Training };
}
