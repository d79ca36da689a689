using TokenMill.Training.Torch;

namespace TokenMill.Training.Lora;

/// <summary>A (rank, inputs) and B (outputs, rank), fp32, in Hugging Face's row order; the layer adds scale·B·A·x.</summary>
public sealed record LoraPair(string Module, Tensor A, Tensor B, float Scale) : IDisposable
{
    /// <summary>DoRA only.</summary>
    public Magnitude? Magnitude { get; init; }

    public void Dispose()
    {
        A.Dispose();
        B.Dispose();
        Magnitude?.Dispose();
    }
}
