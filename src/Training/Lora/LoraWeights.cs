namespace TokenMill.Training.Lora;

/// <summary>
/// One adapted projection as plain numbers in Hugging Face's row order, row-major: A (rank × inputs), B (outputs × rank).
/// Module is its name in the Hugging Face model, such as model.layers.0.self_attn.q_proj.
/// </summary>
public sealed record LoraWeights(string Module, int Rank, int Inputs, int Outputs, float[] A, float[] B)
{
    /// <summary>DoRA: the length of each row of the changed weight (outputs).</summary>
    public float[]? Magnitude { get; init; }
}
