using TokenMill.Shared.Jobs;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>AdamW (Loshchilov and Hutter, 2019) with fp32 parameters and state. Norms and biases are not decayed.</summary>
public sealed class AdamW : IDisposable
{
    private readonly OptimizerSpec _spec;
    private readonly List<(Parameter Parameter, Tensor Mean, Tensor Square)> _states;

    public AdamW(IEnumerable<Parameter> parameters, OptimizerSpec spec)
    {
        _spec = spec;
        _states = TensorScope.Detached(() => parameters.Select(p => (p, Tensor.Zeros(TensorType.Float32, p.Value.Shape), Tensor.Zeros(TensorType.Float32, p.Value.Shape))).ToList());
    }

    /// <summary>Updates made so far.</summary>
    public int Steps { get; private set; }

    public long ParameterCount => _states.Sum(state => state.Parameter.Value.Count);

    /// <summary>Euclidean norm of all gradients together; NaN or infinite when one of them is.</summary>
    public double GradientNorm()
    {
        using var scope = new TensorScope();
        return Math.Sqrt(_states.Sum(state => state.Parameter.Value.Gradient() is { } gradient ? FusedOperators.SumOfSquares(gradient) : 0));
    }

    /// <summary>One update with the gradients multiplied by <paramref name="gradientScale"/> (clipping); then they are cleared.</summary>
    public void Step(double learningRate, double gradientScale)
    {
        using var scope = new TensorScope();
        Steps++;
        foreach (var (parameter, mean, square) in _states)
        {
            if (parameter.Value.Gradient() is { } gradient)
                FusedOperators.AdamW(parameter.Value, gradient, mean, square, learningRate, _spec.Betas[0], _spec.Betas[1], _spec.Epsilon, parameter.Decays ? _spec.WeightDecay : 0, gradientScale, Steps);
            parameter.Value.ClearGradient();
        }
    }

    public void ClearGradients()
    {
        foreach (var (parameter, _, _) in _states) parameter.Value.ClearGradient();
    }

    /// <summary>What is trained, by name.</summary>
    public IEnumerable<(string Name, Tensor Value)> Parameters() => _states.Select(state => (state.Parameter.Name, state.Parameter.Value));

    /// <summary>Everything a checkpoint must hold: parameters and their moments, by name.</summary>
    public IEnumerable<(string Name, Tensor Value)> State() => _states.SelectMany(state => new[]
    {
        (state.Parameter.Name, state.Parameter.Value),
        ($"{state.Parameter.Name}/mean", state.Mean),
        ($"{state.Parameter.Name}/square", state.Square),
    });

    /// <summary>Goes on after so many steps, whose state has been written into <see cref="State"/>.</summary>
    public void Resume(int steps) => Steps = steps;

    public void Dispose()
    {
        foreach (var (_, mean, square) in _states)
        {
            mean.Dispose();
            square.Dispose();
        }
    }
}
