using TokenMill.Training.Torch;

namespace TokenMill.Training.Models;

/// <summary>Something that is trained: an fp32 tensor with a name that is unique and stays the same from run to run. Norms and biases are not decayed.</summary>
public sealed record Parameter(string Name, Tensor Value, bool Decays);
