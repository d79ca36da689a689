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
public sealed record Checkpoint(int Version, int Step, long Tokens, long SupervisedTokens, double LastLoss, double EffectiveSeconds, double Seconds, string Sha256);
