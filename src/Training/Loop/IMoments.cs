using TokenMill.Shared.Jobs;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>How AdamW remembers the gradients of one parameter, and the update from them.</summary>
internal interface IMoments
{
    /// <summary>Tensors that a checkpoint holds, by what is put behind the parameter's name.</summary>
    IReadOnlyList<(string Name, Tensor Value)> State { get; }

    /// <param name="step">Of this update, from 1.</param>
    void Update(Parameter parameter, Tensor gradient, OptimizerSpec spec, double learningRate, double gradientScale, int step);
}

/// <summary>Mean and mean square in fp32: eight bytes an element.</summary>
internal sealed class Float32Moments(Parameter parameter) : IMoments
{
    private readonly Tensor _mean = Tensor.Zeros(TensorType.Float32, parameter.Value.Shape), _square = Tensor.Zeros(TensorType.Float32, parameter.Value.Shape);

    public IReadOnlyList<(string Name, Tensor Value)> State => [("mean", _mean), ("square", _square)];

    public void Update(Parameter parameter, Tensor gradient, OptimizerSpec spec, double learningRate, double gradientScale, int step) =>
        FusedOperators.AdamW(parameter.Value, gradient, _mean, _square, learningRate, spec.Betas[0], spec.Betas[1], spec.Epsilon, parameter.Decays ? spec.WeightDecay : 0, gradientScale, step);
}

/// <summary>Mean and root of the mean square as codes of a byte, with a scale for each 256 of them: two bytes an element.</summary>
internal sealed class BlockwiseMoments : IMoments
{
    public const int Block = 256;

    /// <summary>Smaller parameters (norms, biases) cost nothing in fp32.</summary>
    public const int LeastElements = 4096;

    private readonly Tensor _mean, _meanScale, _root, _rootScale;
    private readonly ulong _seed;

    public BlockwiseMoments(Parameter parameter)
    {
        var count = parameter.Value.Count;
        Tensor Codes() => Tensor.Zeros(TensorType.UInt8, parameter.Value.Shape);
        Tensor Scales() => Tensor.Zeros(TensorType.Float32, (count + Block - 1) / Block);
        (_mean, _meanScale, _root, _rootScale, _seed) = (Codes(), Scales(), Codes(), Scales(), SeededRandom.Mix(0, parameter.Name));
    }

    public IReadOnlyList<(string Name, Tensor Value)> State => [("mean", _mean), ("mean_scale", _meanScale), ("root", _root), ("root_scale", _rootScale)];

    public void Update(Parameter parameter, Tensor gradient, OptimizerSpec spec, double learningRate, double gradientScale, int step) =>
        FusedOperators.AdamW8Bit(parameter.Value, gradient, _mean, _meanScale, _root, _rootScale, learningRate, spec.Betas[0], spec.Betas[1], spec.Epsilon, parameter.Decays ? spec.WeightDecay : 0, gradientScale, step, SeededRandom.Mix(_seed, (ulong)step));
}
