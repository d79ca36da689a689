namespace TokenMill.Training.Lora;

/// <summary>A projection that can carry an adapter: its full name (model.layers.0.self_attn.q_proj), its last word, its shape, and how to attach one.</summary>
public sealed record AdapterSite(string Module, string Target, int Inputs, int Outputs, Action<LoraPair> Attach)
{
    /// <summary>The length of each row of the weight, where DoRA needs it.</summary>
    public float[]? RowLengths { get; init; }
}
