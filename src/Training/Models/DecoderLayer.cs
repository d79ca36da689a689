using TokenMill.Shared.Formats.Families;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Models;

/// <summary>
/// One layer of a decoder: attention, then a gated feed-forward network, each added to the residual stream, with norms
/// before, after or on both sides of them. The last addition is left to the next norm, which does it in the same pass.
/// </summary>
public sealed class DecoderLayer : IDisposable
{
    private readonly ModelConfig _config;
    private readonly List<Parameter> _norms = [];
    private readonly Tensor? _beforeAttention, _afterAttention, _beforeFeedForward, _afterFeedForward;
    private readonly Tensor? _queryNorm, _keyNorm;
    private readonly FusedLinear _queryKeyValue, _output, _gateUp, _down;
    private readonly GateActivation _activation;

    public DecoderLayer(ModelConfig config, int index, IWeightSource source, ModelUse use)
    {
        (_config, Index) = (config, index);
        var (family, block) = (config.Family, $"blk.{index}");
        FusedLinear Linear(IReadOnlyList<Projection> projections, int inputs) => new($"model.layers.{index}", block, projections, inputs, source, use);
        Tensor? Norm(string name, int width, bool has = true)
        {
            if (!has) return null;
            var norm = CausalModel.Norm(source, $"{block}.{name}.weight", width);
            _norms.Add(new Parameter(family.FromGguf($"{block}.{name}.weight")!, norm, Decays: false));
            return norm;
        }

        _beforeAttention = Norm("attn_norm", config.HiddenSize, family.Norms != LayerNorms.AfterOnly);
        _afterAttention = Norm("post_attention_norm", config.HiddenSize, family.Norms != LayerNorms.BeforeOnly);
        _beforeFeedForward = Norm("ffn_norm", config.HiddenSize, family.Norms != LayerNorms.AfterOnly);
        _afterFeedForward = Norm("post_ffw_norm", config.HiddenSize, family.Norms != LayerNorms.BeforeOnly);
        var whole = family.QueryKeyNorm == QueryKeyNorm.Whole;
        _queryNorm = Norm("attn_q_norm", whole ? config.QueryWidth : config.HeadDim, family.QueryKeyNorm != QueryKeyNorm.None);
        _keyNorm = Norm("attn_k_norm", whole ? config.KeyWidth : config.HeadDim, family.QueryKeyNorm != QueryKeyNorm.None);
        _queryKeyValue = Linear(Projection.QueryKeyValue(config), config.HiddenSize);
        _output = Linear(Projection.AttentionOutput(config), config.QueryWidth);
        _gateUp = Linear(Projection.GateUp(config), config.HiddenSize);
        _down = Linear(Projection.Down(config), config.IntermediateSize);
        _activation = family.GateIsGelu ? GateActivation.GeluTanh : GateActivation.Silu;
    }

    public int Index { get; }

    public IEnumerable<FusedLinear> Linears => [_queryKeyValue, _output, _gateUp, _down];

    /// <summary>stream (T, hidden) and what is still to be added to it → the same after this layer.</summary>
    public (Tensor Stream, Tensor Delta) Forward(Tensor stream, Tensor? delta, TensorType type, IAttention attention, double dropout, ulong seed)
    {
        (stream, var input) = Enter(stream, delta, _beforeAttention, type);
        var heads = NormHeads(_queryKeyValue.Forward(input, dropout, SeededRandom.Mix(seed, (ulong)Index * 4)), type);   // (T, (heads + 2·kvHeads)·headDim)
        var attended = attention.Attend(Index, heads);                                                       // (T, heads·headDim)
        var mixed = Leave(_output.Forward(attended, dropout, SeededRandom.Mix(seed, (ulong)Index * 4 + 1)), _afterAttention, type);   // (T, hidden)

        (stream, input) = Enter(stream, mixed, _beforeFeedForward, type);
        var gateUp = _gateUp.Forward(input, dropout, SeededRandom.Mix(seed, (ulong)Index * 4 + 2));          // (T, 2·intermediate)
        var down = _down.Forward(FusedOperators.GatedUnit(gateUp, _activation), dropout, SeededRandom.Mix(seed, (ulong)Index * 4 + 3));
        return (stream, Leave(down, _afterFeedForward, type));
    }

    public IEnumerable<Parameter> Norms() => _norms;

    public void Dispose()
    {
        foreach (var linear in Linears) linear.Dispose();
        foreach (var norm in _norms) norm.Value.Dispose();
    }

    /// <summary>stream + delta, and what half a layer works on: its norm, or itself.</summary>
    private (Tensor Stream, Tensor Input) Enter(Tensor stream, Tensor? delta, Tensor? norm, TensorType type)
    {
        if (norm is not null)
            return delta is null ? (stream, FusedOperators.RmsNorm(stream, norm, _config.NormEpsilon, type)) : FusedOperators.AddRmsNorm(stream, delta, norm, _config.NormEpsilon);
        if (delta is not null) stream = Operators.Add(stream, Operators.Convert(delta, TensorType.Float32));
        return (stream, Operators.Convert(stream, type));
    }

    /// <summary>What half a layer adds to the stream.</summary>
    private Tensor Leave(Tensor made, Tensor? norm, TensorType type)
    {
        if (norm is not null) made = FusedOperators.RmsNorm(Operators.Convert(made, TensorType.Float32), norm, _config.NormEpsilon, type);
        return Operators.Scale(made, _config.Traits.ResidualScale);
    }

    private Tensor NormHeads(Tensor heads, TensorType type)
    {
        if (_queryNorm is null) return heads;
        if (_config.Family.QueryKeyNorm == QueryKeyNorm.PerHead) return FusedOperators.HeadNorm(heads, _queryNorm, _keyNorm!, _config.Heads, _config.KeyValueHeads, _config.NormEpsilon);
        Tensor Columns(int first, int count) => Operators.Columns(heads, first, count);
        Tensor Normed(Tensor x, Tensor weight) => FusedOperators.RmsNorm(Operators.Convert(x, TensorType.Float32), weight, _config.NormEpsilon, type);
        var (query, key) = (_config.QueryWidth, _config.KeyWidth);
        return Operators.JoinColumns(Normed(Columns(0, query), _queryNorm), Normed(Columns(query, key), _keyNorm!), Columns(query + key, key));
    }
}
