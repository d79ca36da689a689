using TokenMill.Training.Torch;

namespace TokenMill.Training.Models;

/// <summary>Tables of the rotary embedding for each kind of layer, made for as many positions as were asked for so far.</summary>
public sealed class RotaryTables(ModelConfig config) : IDisposable
{
    private readonly Growing _everywhere = new(config.Rotary, config.ContextLength);
    private readonly Growing? _inWindow = config.Rotary.InWindow is { } own ? new(own, config.ContextLength) : null;

    /// <summary>Null for a layer that is not rotated.</summary>
    public RotaryTable? For(int layer, int positions) =>
        !config.Traits.Rotates(layer) ? null : (_inWindow is not null && config.Traits.IsWindowed(layer) ? _inWindow : _everywhere).For(positions);

    public void Dispose()
    {
        _everywhere.Dispose();
        _inWindow?.Dispose();
    }

    private sealed class Growing(RotarySettings settings, int contextLength) : IDisposable
    {
        private RotaryTable? _table;
        private int _positions;

        public RotaryTable For(int positions)
        {
            if (positions <= _positions) return _table!;
            _positions = Math.Max(positions, Math.Min(2 * _positions, contextLength));
            _table?.Dispose();
            return _table = TensorScope.Detached(() => Table(settings.Factors) is var table && settings.LongFactors is { } factors
                ? table with { Long = Table(factors), ShortPositions = settings.ShortPositions } : table);
        }

        public void Dispose() => _table?.Dispose();

        private RotaryTable Table(float[]? factors)
        {
            var pairs = settings.Dimensions / 2;
            var (cosine, sine) = (new float[_positions * pairs], new float[_positions * pairs]);
            for (var pair = 0; pair < pairs; pair++)
            {
                // fp32 steps as the reference implementations take them: base^(−2j/d), then its factor, then the angle.
                var frequency = (float)(1.0 / Math.Pow(settings.Base, 2.0 * pair / settings.Dimensions)) / (factors?[pair] ?? 1);
                for (var position = 0; position < _positions; position++)
                {
                    var angle = position * frequency;
                    cosine[position * pairs + pair] = (float)Math.Cos(angle) * settings.Magnitude;
                    sine[position * pairs + pair] = (float)Math.Sin(angle) * settings.Magnitude;
                }
            }
            return new RotaryTable(Tensor.From(cosine, _positions, pairs), Tensor.From(sine, _positions, pairs));
        }
    }
}
