namespace TokenMill.Training.Models;

/// <summary>A weight after training of all weights: Hugging Face's name, shape and row order; read when it is written, one at a time.</summary>
public sealed record TrainedWeight(string Name, int[] Shape, Func<float[]> Read);
