namespace TokenMill.Training.Checkpoints;

/// <summary>
/// Where a run stands after a step, beside the tensors. Data order and dropout follow from seed and step, so nothing else
/// is needed to go on exactly.
/// </summary>
/// <param name="Step">Steps done.</param>
/// <param name="Tokens">Real tokens seen since the start.</param>
/// <param name="LastLoss">Loss of the last step.</param>
/// <param name="EffectiveSeconds">Time spent on the steps that are kept.</param>
/// <param name="Seconds">Wall time of the run until here, all its processes together.</param>
/// <param name="Sha256">Of the file of tensors.</param>
public sealed record Checkpoint(int Version, int Step, long Tokens, long SupervisedTokens, double LastLoss, double EffectiveSeconds, double Seconds, string Sha256)
{
    public ValidationProgress? Validation { get; init; }

    /// <summary>Fingerprint of the encoded data: a run goes on only with the data it was started with.</summary>
    public string? Data { get; init; }
}

/// <summary>What the evaluations so far have shown.</summary>
/// <param name="WithoutImprovement">Evaluations since the best one.</param>
/// <param name="EvaluatedStep">Step of the last one, −1 before the first.</param>
public sealed record ValidationProgress(double BestLoss, int BestStep, int WithoutImprovement, int EvaluatedStep)
{
    public static ValidationProgress None { get; } = new(double.MaxValue, -1, 0, -1);
}
