using TokenMill.Training.Torch;

namespace TokenMill.Training.Models;

/// <summary>How tokens of one pass see each other and earlier ones: (T, (heads + 2·kvHeads)·headDim) → (T, heads·headDim).</summary>
public interface IAttention
{
    Tensor Attend(int layer, Tensor queryKeyValue);
}

/// <summary>Whole segments, each by itself.</summary>
internal sealed class SegmentAttention(ModelConfig config, long[] segmentStarts, int longest, RotaryTables rotary) : IAttention
{
    public Tensor Attend(int layer, Tensor queryKeyValue) =>
        FusedOperators.Attention(queryKeyValue, config.Heads, config.KeyValueHeads, segmentStarts, config.Scores(layer), rotary.For(layer, longest));
}

/// <summary>The next tokens of one sequence whose keys and values are kept.</summary>
internal sealed class KeyValueCache : IAttention, IDisposable
{
    private readonly ModelConfig _config;
    private readonly RotaryTables _rotary;
    private readonly Tensor[] _layers;

    public KeyValueCache(ModelConfig config, int capacity, TensorType type, RotaryTables rotary)
    {
        (_config, _rotary, Capacity) = (config, rotary, capacity);
        _layers = TensorScope.Detached(() => Enumerable.Range(0, config.Layers).Select(_ => Tensor.Zeros(type, capacity, 2 * config.KeyWidth)).ToArray());
    }

    public int Capacity { get; }

    /// <summary>Tokens kept so far; whoever runs a pass counts its tokens afterwards.</summary>
    public int Length { get; set; }

    public Tensor Attend(int layer, Tensor queryKeyValue) =>
        FusedOperators.CachedAttention(queryKeyValue, _config.Heads, _config.KeyValueHeads, _layers[layer], Length, _config.Scores(layer), _rotary.For(layer, Capacity));

    public void Dispose()
    {
        foreach (var layer in _layers) layer.Dispose();
    }
}
