using TokenMill.Shared.Jobs;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>
/// AdamW (Loshchilov and Hutter, 2019) on fp32 parameters, which a model in bf16 rounds anew after each step, so that no update is
/// too small to count. Its state is fp32, or (adamw8bit) a quarter of that. Norms and biases are not decayed.
/// </summary>
public sealed class AdamW : IDisposable
{
    private readonly OptimizerSpec _spec;
    private readonly List<(Parameter Parameter, IMoments Moments)> _states;

    public AdamW(IEnumerable<Parameter> parameters, OptimizerSpec spec)
    {
        _spec = spec;
        _states = TensorScope.Detached(() => parameters.Select(p => (p, New(p))).ToList());

        IMoments New(Parameter parameter) => spec.Name == "adamw8bit" && parameter.Value.Count >= BlockwiseMoments.LeastElements ? new BlockwiseMoments(parameter) : new Float32Moments(parameter);
    }

    /// <summary>Updates made so far.</summary>
    public int Steps { get; private set; }

    public long ParameterCount => _states.Sum(state => state.Parameter.Value.Count);

    /// <summary>Of the parameters and what is remembered of their gradients.</summary>
    public long StateBytes => State().Sum(part => part.Value.Count * part.Value.Type.SizeBytes());

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
        foreach (var (parameter, moments) in _states)
        {
            if (parameter.Value.Gradient() is { } gradient) moments.Update(parameter, gradient, _spec, learningRate, gradientScale, Steps);
            parameter.Value.ClearGradient();
        }
    }

    public void ClearGradients()
    {
        foreach (var (parameter, _) in _states) parameter.Value.ClearGradient();
    }

    /// <summary>What is trained, by name.</summary>
    public IEnumerable<(string Name, Tensor Value)> Parameters() => _states.Select(state => (state.Parameter.Name, state.Parameter.Value));

    /// <summary>Everything a checkpoint must hold: parameters and their moments, by name.</summary>
    public IEnumerable<(string Name, Tensor Value)> State() => _states.SelectMany(state =>
        state.Moments.State.Select(part => ($"{state.Parameter.Name}/{part.Name}", part.Value)).Prepend((state.Parameter.Name, state.Parameter.Value)));

    /// <summary>Goes on after so many steps, whose state has been written into <see cref="State"/>.</summary>
    public void Resume(int steps) => Steps = steps;

    public void Dispose()
    {
        foreach (var (_, value) in _states.SelectMany(state => state.Moments.State)) value.Dispose();
    }
}
