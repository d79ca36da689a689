namespace TokenMill.Training.Forecast;

/// <summary>
/// Time and memory of a whole model from two probes of different depth: what both share (program, embedding, head) and what each layer adds.
/// A pass takes (per layer) a fixed time, a time per token and one per square of a segment's length, and the head one per supervised token.
/// </summary>
internal sealed class CostModel
{
    private readonly ProbeResult _shallow, _deep;
    private readonly int _layers;
    private readonly long _missingParameters;
    private readonly double[] _seconds, _bytes;

    /// <param name="layers">Of the whole model.</param>
    /// <param name="missingParameters">See <see cref="TypicalLayer"/>.</param>
    public CostModel(ProbeResult shallow, ProbeResult deep, int layers, long missingParameters = 0)
    {
        (_shallow, _deep, _layers, _missingParameters) = (shallow, deep, layers, missingParameters);
        var passes = new[] { shallow, deep }.SelectMany(probe => probe.Passes.Select(pass => (probe.Layers, pass))).ToList();
        // The quickest repetition is what the machine can do; how far the usual one lies above it is Slowdown.
        _seconds = LeastSquares.Fit([.. passes.Select(p => (TimeFeatures(p.Layers, p.pass.Shape), p.pass.Seconds.Min()))]);
        _bytes = LeastSquares.Fit([.. passes.Select(p => (MemoryFeatures(p.Layers, p.pass.Shape), (double)p.pass.PeakBytes))]);
        var ratios = passes.SelectMany(p => p.pass.Seconds.Select(seconds => seconds / p.pass.Seconds.Min())).Order().ToList();
        (Slowdown, SlowdownAtWorst) = (ratios[ratios.Count / 2], ratios[ratios.Count * 9 / 10]);
    }

    /// <summary>A usual repetition against the quickest one, and the slowest tenth.</summary>
    public double Slowdown { get; }
    public double SlowdownAtWorst { get; }

    public double LoadSeconds => Math.Max(Deepen(probe => probe.LoadSeconds), _deep.LoadSeconds);
    public double UpdateSeconds => Deepen(probe => probe.UpdateSeconds);
    public double ValidationShare => _deep.ValidationShare;
    public long TrainableParameters => (long)Math.Round(TypicalParameters) + _missingParameters;

    /// <summary>Of a checkpoint: what is trained and the optimizer's state.</summary>
    public long StateBytes => (long)Math.Round(Deepen(probe => probe.StateBytes) * (TrainableParameters / TypicalParameters));

    /// <summary>Until a checkpoint is on disk.</summary>
    public double SaveSeconds => StateBytes * _deep.SaveSecondsPerByte;

    /// <summary>Of what passes take and give back, lost between blocks.</summary>
    public double HolesShare => _deep.HolesShare;

    /// <summary>The program without a model.</summary>
    public long RuntimeBytes => _shallow.OutsideBytes;

    /// <summary>Beside tensors and weights; small tensors are among it too.</summary>
    public long OutsideBytes => Math.Max(_deep.OutsideBytes, (long)Deepen(probe => probe.OutsideBytes));

    /// <summary>After loading: the weights, and the state of what is trained.</summary>
    public long WeightBytes => (long)Deepen(probe => probe.WeightBytes);
    public long LoadPeakBytes => (long)Deepen(probe => probe.LoadPeakBytes);

    /// <summary>Of one pass, forward and backward, at its best.</summary>
    public double PassSeconds(PassShape shape) => LeastSquares.Dot(_seconds, TimeFeatures(_layers, shape));

    /// <summary>The most that is alive while a pass runs, weights included.</summary>
    public long PassBytes(PassShape shape) => (long)LeastSquares.Dot(_bytes, MemoryFeatures(_layers, shape));

    /// <summary>The share of <see cref="PassBytes"/> that grows with its tokens, the head's logits included.</summary>
    public long ActivationBytes(PassShape shape) => PassBytes(shape) - PassBytes(new PassShape(0, 0, 0));

    private static double[] TimeFeatures(int layers, PassShape shape) => [1, layers, shape.Tokens, (double)layers * shape.Tokens, (double)layers * shape.Squares, shape.Supervised];

    private static double[] MemoryFeatures(int layers, PassShape shape) => [1, layers, shape.Tokens, (double)layers * shape.Tokens, shape.Supervised];

    private double TypicalParameters => Deepen(probe => probe.TrainableParameters);

    private double Deepen(Func<ProbeResult, double> value)
    {
        if (_deep.Layers == _shallow.Layers) return value(_deep);
        var slope = (value(_deep) - value(_shallow)) / (_deep.Layers - _shallow.Layers);
        return value(_deep) + slope * (_layers - _deep.Layers);
    }
}
