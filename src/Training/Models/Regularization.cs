namespace TokenMill.Training.Models;

/// <summary>What a training pass does that other passes do not, so that the model generalises. The default does nothing.</summary>
/// <param name="Dropout">Share of the inputs of adapters that is dropped.</param>
/// <param name="LabelSmoothing">Share of a target's probability that is spread over the whole vocabulary.</param>
/// <param name="Seed">Decides every random number of the pass.</param>
public readonly record struct Regularization(double Dropout = 0, double LabelSmoothing = 0, ulong Seed = 0);
