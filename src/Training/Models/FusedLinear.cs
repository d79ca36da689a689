using TokenMill.Training.Lora;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Models;

/// <summary>
/// One or more projections of the same input as a single product: their weights lie below each other. Each projection may
/// carry an adapter of its own. The weight is frozen (packed, or kept as the file stores it), or has an fp32 master that is trained and packed again after each step.
/// </summary>
public sealed class FusedLinear : IDisposable
{
    private readonly string _layer;
    private readonly IReadOnlyList<Projection> _projections;
    private readonly LinearWeight _weight;
    private readonly Tensor? _master, _bias;
    private readonly LoraPair?[] _adapters;
    private readonly float[]? _rowLengths;              // of the frozen weight, for DoRA

    /// <param name="layer">Hugging Face's name of the layer, such as model.layers.3.</param>
    /// <param name="block">GGUF's name of it, such as blk.3.</param>
    public FusedLinear(string layer, string block, IReadOnlyList<Projection> projections, int inputs, IWeightSource source, ModelUse use)
    {
        (_layer, _projections, _adapters) = (layer, projections, new LoraPair?[projections.Count]);
        var outputs = projections.Sum(p => p.Outputs);
        var bias = projections.Any(p => source.Has($"{block}.{p.GgufName}.bias")) ? new float[outputs] : null;
        var row = 0;
        foreach (var projection in bias is null ? [] : projections)
        {
            if (source.Has($"{block}.{projection.GgufName}.bias"))
                source.Read($"{block}.{projection.GgufName}.bias", bias.AsSpan(row, projection.Outputs), 1, projection.PermutedHeads);
            row += projection.Outputs;
        }
        if (bias is not null) _bias = Tensor.From(bias, outputs);
        if (use.TrainsWeights) _bias?.RequireGradient();

        if (use.KeepsStored)
        {
            var stored = new StoredRows(inputs);
            foreach (var projection in projections) source.ReadStored($"{block}.{projection.GgufName}.weight", stored, projection.Outputs, projection.PermutedHeads);
            _weight = new StoredWeight(stored, use.Type);
            if (use.MeasuresRows)
            {
                var values = new float[outputs * inputs];
                stored.Expand(0, values);
                _rowLengths = Magnitude.LengthsOf(values, inputs);
            }
            return;
        }
        var packed = new PackedWeight(outputs, inputs, use.Type, backward: use.Trains);
        _weight = packed;
        var weight = packed.Source();
        row = 0;
        foreach (var projection in projections)
        {
            source.Read($"{block}.{projection.GgufName}.weight", weight.Slice(row * inputs, projection.Outputs * inputs), inputs, projection.PermutedHeads);
            row += projection.Outputs;
        }
        if (use.MeasuresRows) _rowLengths = Magnitude.LengthsOf(weight, inputs);
        if (use.TrainsWeights) _master = Tensor.From(weight, outputs, inputs).RequireGradient();
        packed.Pack();
    }

    public IEnumerable<Parameter> Parameters()
    {
        if (_master is null) yield break;
        var name = $"{_layer}.{string.Join('+', _projections.Select(p => p.Module))}";
        yield return new Parameter($"{name}.weight", _master, Decays: true);
        if (_bias is not null) yield return new Parameter($"{name}.bias", _bias, Decays: false);
    }

    /// <summary>The places an adapter can sit on: module name, inputs, outputs.</summary>
    public IEnumerable<AdapterSite> Sites() => _projections.Select((projection, index) =>
        new AdapterSite($"{_layer}.{projection.Module}", projection.ShortName, (int)_weight.Inputs, projection.Outputs, pair =>
        {
            _adapters[index] = pair;
            Measure(index);
        })
        {
            RowLengths = _rowLengths?[FirstRow(index)..(FirstRow(index) + projection.Outputs)],
        });

    /// <summary>x (T, inputs) → (T, outputs).</summary>
    public Tensor Forward(Tensor x, double dropout, ulong seed)
    {
        Span<LowRankPart> parts = new LowRankPart[_adapters.Length];
        var (count, row) = (0, 0);
        for (var i = 0; i < _adapters.Length; i++)
        {
            if (_adapters[i] is { } pair) parts[count++] = new(pair.A, pair.B, row, _projections[i].Outputs, pair.Scale);
            row += _projections[i].Outputs;
        }
        if (_adapters.All(pair => pair?.Magnitude is null)) return FusedOperators.Linear(x, _weight, _master, _bias, parts[..count], dropout, seed);
        return FusedOperators.ScaleOutputs(FusedOperators.Linear(x, _weight, null, null, parts[..count], dropout, seed), DirectionFactors(), _bias);
    }

    /// <summary>Takes over what the optimizer has changed.</summary>
    public void Repack()
    {
        if (_master is not null) ((PackedWeight)_weight).Pack(_master);
        for (var i = 0; i < _adapters.Length; i++) Measure(i);
    }

    /// <summary>The trained weights under Hugging Face's names, each in its own shape.</summary>
    public IEnumerable<TrainedWeight> Weights()
    {
        if (_master is null) yield break;
        var row = 0;
        foreach (var projection in _projections)
        {
            var (first, rows) = (row, projection.Outputs);
            yield return new TrainedWeight($"{_layer}.{projection.Module}.weight", [rows, (int)_weight.Inputs], () => Rows(_master, first, rows));
            if (_bias is not null) yield return new TrainedWeight($"{_layer}.{projection.Module}.bias", [rows], () => Rows(_bias, first, rows));
            row += rows;
        }
    }

    public void Dispose()
    {
        _weight.Dispose();
        _master?.Dispose();
        _bias?.Dispose();
    }

    private int FirstRow(int projection) => _projections.Take(projection).Sum(p => p.Outputs);

    /// <summary>DoRA: wanted length over measured length of each output (outputs); 1 where there is no magnitude.</summary>
    private Tensor DirectionFactors() => Operators.Concatenate([.. _adapters.Select((pair, i) => pair?.Magnitude is { } magnitude
        ? magnitude.Factors()
        : Tensor.From([.. Enumerable.Repeat(1f, _projections[i].Outputs)], _projections[i].Outputs))]);

    private void Measure(int projection)
    {
        if (_adapters[projection] is not { Magnitude: { } magnitude } pair) return;
        magnitude.Measure(pair, _weight, FirstRow(projection), _rowLengths.AsSpan(FirstRow(projection), _projections[projection].Outputs));
    }

    private static float[] Rows(Tensor tensor, int first, int rows)
    {
        var all = tensor.ToFloats();
        var width = all.Length / (int)tensor.Shape[0];
        return all[(first * width)..((first + rows) * width)];
    }
}
