using TokenMill.Training.Torch;

namespace TokenMill.Training.Models;

/// <summary>Tables of the rotary embedding, made for as many positions as were asked for so far.</summary>
public sealed class RotaryTables(ModelConfig config) : IDisposable
{
    private RotaryTable? _table;
    private int _positions;

    public RotaryTable For(int positions)
    {
        if (positions <= _positions) return _table!;
        positions = Math.Max(positions, Math.Min(2 * _positions, config.ContextLength));
        var pairs = config.HeadDim / 2;
        var (cosine, sine) = (new float[positions * pairs], new float[positions * pairs]);
        for (var pair = 0; pair < pairs; pair++)
        {
            // fp32 steps as the reference implementations take them: base^(−2j/d), then its factor, then the angle.
            var frequency = (float)(1.0 / Math.Pow(config.RopeBase, 2.0 * pair / config.HeadDim)) / (config.RopeFactors?[pair] ?? 1);
            for (var position = 0; position < positions; position++)
            {
                var angle = position * frequency;
                cosine[position * pairs + pair] = (float)Math.Cos(angle);
                sine[position * pairs + pair] = (float)Math.Sin(angle);
            }
        }
        _table?.Dispose();
        _table = TensorScope.Detached(() => new RotaryTable(Tensor.From(cosine, positions, pairs), Tensor.From(sine, positions, pairs)));
        _positions = positions;
        return _table;
    }

    public void Dispose() => _table?.Dispose();
}
