using TokenMill.Shared.Formats.Gguf;
using TokenMill.Training.Export;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Models;

/// <summary>A model's weights with some of them taken from an adapter that was trained together with them (modules_to_save).</summary>
public sealed class SavedWeights(IWeightSource source, GgufFile model, IReadOnlyList<TrainedWeight> saved) : IWeightSource
{
    private readonly Dictionary<string, TrainedWeight> _saved = saved.ToDictionary(weight => new TensorOrder(model).Family.ToGguf(weight.Name)!);

    public bool Has(string name) => source.Has(name);

    public void Read(string name, Span<float> target, int width, int permutedHeads = 0)
    {
        if (_saved.TryGetValue(name, out var weight)) weight.Read().CopyTo(target);
        else source.Read(name, target, width, permutedHeads);
    }

    public void ReadStored(string name, StoredRows target, int rows, int permutedHeads = 0)
    {
        if (_saved.TryGetValue(name, out var weight)) target.Add(weight.Read());
        else source.ReadStored(name, target, rows, permutedHeads);
    }
}
