using TokenMill.Training.Torch;

namespace TokenMill.Training.Models;

/// <summary>
/// One layer of a pre-norm decoder: attention, then a gated feed-forward network, each added to the residual stream.
/// The last addition is left to the next norm, which does it in the same pass.
/// </summary>
public sealed class DecoderLayer : IDisposable
{
    private readonly ModelConfig _config;
    private readonly string _name;
    private readonly Tensor _attentionNorm, _feedForwardNorm;
    private readonly Tensor? _queryNorm, _keyNorm;
    private readonly FusedLinear _queryKeyValue, _output, _gateUp, _down;

    public DecoderLayer(ModelConfig config, int index, IWeightSource source, ModelUse use)
    {
        (_config, _name, Index) = (config, $"model.layers.{index}", index);
        var (family, block) = (config.Family, $"blk.{index}");
        FusedLinear Linear(IReadOnlyList<Projection> projections, int inputs) => new(_name, block, projections, inputs, source, use);
        Tensor Norm(string name, int width) => CausalModel.Norm(source, $"{block}.{name}.weight", width, use);

        _attentionNorm = Norm("attn_norm", config.HiddenSize);
        _feedForwardNorm = Norm("ffn_norm", config.HiddenSize);
        if (family.HeadNorm) (_queryNorm, _keyNorm) = (Norm("attn_q_norm", config.HeadDim), Norm("attn_k_norm", config.HeadDim));
        _queryKeyValue = Linear(family.QueryKeyValue(config), config.HiddenSize);
        _output = Linear(family.AttentionOutput(config), config.QueryWidth);
        _gateUp = Linear(family.GateUp(config), config.HiddenSize);
        _down = Linear(family.Down(config), config.IntermediateSize);
    }

    public int Index { get; }

    public IEnumerable<FusedLinear> Linears => [_queryKeyValue, _output, _gateUp, _down];

    /// <summary>stream (T, hidden) and what is still to be added to it → the same after this layer.</summary>
    public (Tensor Stream, Tensor Delta) Forward(Tensor stream, Tensor? delta, TensorType type, IAttention attention, double dropout, ulong seed)
    {
        Tensor normed;
        if (delta is null) normed = FusedOperators.RmsNorm(stream, _attentionNorm, _config.NormEpsilon, type);
        else (stream, normed) = FusedOperators.AddRmsNorm(stream, delta, _attentionNorm, _config.NormEpsilon);

        var heads = _queryKeyValue.Forward(normed, dropout, SeededRandom.Mix(seed, (ulong)Index * 4));      // (T, (heads + 2·kvHeads)·headDim)
        if (_queryNorm is not null) heads = FusedOperators.HeadNorm(heads, _queryNorm, _keyNorm!, _config.Heads, _config.KeyValueHeads, _config.NormEpsilon);
        var attended = attention.Attend(Index, heads);                                                       // (T, heads·headDim)
        var mixed = _output.Forward(attended, dropout, SeededRandom.Mix(seed, (ulong)Index * 4 + 1));        // (T, hidden)

        (stream, normed) = FusedOperators.AddRmsNorm(stream, mixed, _feedForwardNorm, _config.NormEpsilon);
        var gateUp = _gateUp.Forward(normed, dropout, SeededRandom.Mix(seed, (ulong)Index * 4 + 2));         // (T, 2·intermediate)
        return (stream, _down.Forward(FusedOperators.SwiGlu(gateUp), dropout, SeededRandom.Mix(seed, (ulong)Index * 4 + 3)));
    }

    public IEnumerable<Parameter> Norms()
    {
        yield return new Parameter($"{_name}.input_layernorm.weight", _attentionNorm, Decays: false);
        yield return new Parameter($"{_name}.post_attention_layernorm.weight", _feedForwardNorm, Decays: false);
        if (_queryNorm is null) yield break;
        yield return new Parameter($"{_name}.self_attn.q_norm.weight", _queryNorm, Decays: false);
        yield return new Parameter($"{_name}.self_attn.k_norm.weight", _keyNorm!, Decays: false);
    }

    public void Dispose()
    {
        foreach (var linear in Linears) linear.Dispose();
        foreach (var norm in Norms()) norm.Value.Dispose();
    }
}
