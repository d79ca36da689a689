using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace TokenMill.Shared.Jobs;

/// <summary>
/// What the trainer says, one JSON object a line on stdout, each with type, at (UTC ISO 8601) and step.
/// <see cref="Run"/> is the run token of the process that wrote it, so that a late event of an earlier one is ignored.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ReferenceEvent), "reference")]
[JsonDerivedType(typeof(StartedEvent), "started")]
[JsonDerivedType(typeof(StepEvent), "step")]
[JsonDerivedType(typeof(ValidationEvent), "validation")]
[JsonDerivedType(typeof(SampleEvent), "sample")]
[JsonDerivedType(typeof(CheckpointEvent), "checkpoint")]
[JsonDerivedType(typeof(WarningEvent), "warning")]
[JsonDerivedType(typeof(ExportEvent), "export")]
[JsonDerivedType(typeof(FinishedEvent), "finished")]
[JsonDerivedType(typeof(FailedEvent), "failed")]
[JsonDerivedType(typeof(PausedEvent), "paused")]
[JsonDerivedType(typeof(CancelledEvent), "cancelled")]
public abstract record TrainerEvent
{
    public DateTimeOffset At { get; init; }
    public int Step { get; init; }
    public string? Run { get; init; }
}

/// <summary>DPO, before the first step: of <c>Pairs</c> whose reference the run needs, <c>Done</c> are computed.</summary>
public sealed record ReferenceEvent(int Done, int Pairs) : TrainerEvent;

public sealed record StartedEvent(int TotalSteps, long TrainableParameters, JsonNode? Plan) : TrainerEvent;

/// <summary><c>Loss</c> is before the step's update, the mean over the supervised tokens of the whole accumulated batch; <c>Tokens</c> are real tokens since the start.</summary>
public sealed record StepEvent(
    double Epoch, double Loss, double GradNorm, double LearningRate, long Tokens, long SupervisedTokens,
    double TokensPerSecond, long MemoryBytes, double RemainingSeconds) : TrainerEvent
{
    public double? RewardChosen { get; init; }
    public double? RewardRejected { get; init; }
    public double? Accuracy { get; init; }
}

/// <summary><c>Loss</c>: mean over supervised tokens without label smoothing, for DPO over pairs; <c>Accuracy</c> (DPO): share of pairs whose chosen answer is preferred.</summary>
public sealed record ValidationEvent(double Loss, double TokenAccuracy) : TrainerEvent
{
    public double? RewardChosen { get; init; }
    public double? RewardRejected { get; init; }
    public double? Accuracy { get; init; }
}

public sealed record SampleEvent(string Prompt, string Answer) : TrainerEvent;

/// <summary><c>Seconds</c>: how long training was held up.</summary>
public sealed record CheckpointEvent(string Path, double Seconds) : TrainerEvent;
public sealed record WarningEvent(string Code, string Message) : TrainerEvent;

/// <summary><c>Kind</c>: peft, gguf-lora or merged.</summary>
public sealed record ExportEvent(string Kind, string Path) : TrainerEvent;

/// <summary><c>EffectiveTime</c>: share 0…1 of wall time spent on steps that counted.</summary>
public sealed record FinishedEvent(double Loss, double Seconds, double EffectiveTime) : TrainerEvent
{
    /// <summary>Step with the lowest validation loss, where there was a validation; its weights are exported if the specification says so.</summary>
    public int? BestStep { get; init; }
}

public sealed record FailedEvent(string Code, string Message, string Remedy) : TrainerEvent;
public sealed record PausedEvent : TrainerEvent;
public sealed record CancelledEvent : TrainerEvent;
