using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Families;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Training.Models;

namespace TokenMill.Training.Export;

/// <summary>How the tensors of one GGUF model differ from Hugging Face's beyond their names: rows of q and k, norms that add one.</summary>
public sealed class TensorOrder
{
    private readonly int _heads, _keyValueHeads;

    /// <exception cref="RefusedException">The architecture has no counterpart in Hugging Face's layout that is known here.</exception>
    public TensorOrder(GgufFile model)
    {
        var architecture = model.Metadata.String("general.architecture");
        Family = ModelFamily.Of(model.Metadata)
            ?? throw new RefusedException("architecture-unsupported", $"adapters and exports of {architecture} models are not supported", $"supported are {string.Join(", ", ModelFamily.ModelTypes)}");
        if (!Family.PermutesQueryAndKey) return;
        _heads = (int)model.Metadata.UInt32($"{architecture}.attention.head_count");
        _keyValueHeads = (int)(model.Metadata.TryUInt32($"{architecture}.attention.head_count_kv") ?? (uint)_heads);
    }

    public TensorOrder(ModelFamily family, int heads, int keyValueHeads)
    {
        Family = family;
        if (family.PermutesQueryAndKey) (_heads, _keyValueHeads) = (heads, keyValueHeads);
    }

    public ModelFamily Family { get; }

    /// <summary>Reorders rows of <paramref name="width"/> from GGUF's order to Hugging Face's, in place. Also for a LoRA's B, whose width is the rank.</summary>
    public void ToHuggingFace(string ggufName, Span<float> rows, int width) => RotaryOrder.FromGguf(rows, PermutedHeads(ggufName), width);

    public void ToGguf(string ggufName, Span<float> rows, int width) => RotaryOrder.ToGguf(rows, PermutedHeads(ggufName), width);

    public bool IsPermuted(string ggufName) => PermutedHeads(ggufName) > 0;

    /// <summary>GGUF holds 1 + w of this norm, Hugging Face w.</summary>
    public bool AddsOne(string ggufName) => Family.NormsAddOne && ggufName.EndsWith("norm.weight", StringComparison.Ordinal);

    private int PermutedHeads(string name) =>
        name.Contains(".attn_q.", StringComparison.Ordinal) ? _heads : name.Contains(".attn_k.", StringComparison.Ordinal) ? _keyValueHeads : 0;
}
