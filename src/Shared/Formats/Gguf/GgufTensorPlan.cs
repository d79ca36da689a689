namespace TokenMill.Shared.Formats.Gguf;

/// <summary>
/// Which tensors a model of a known layout has, with their dimensions (GGUF order), compared with those of the file.
/// Vectors (norms, biases, factors) are F32, matrices of a weight type: libllama reads past their end or stops otherwise.
/// </summary>
internal sealed class GgufTensorPlan
{
    private const string Contradiction = "the model contradicts itself: convert it again from the original";

    private readonly GgufFile _file;
    private readonly GgufHyperparameters _h;
    private readonly HashSet<string> _known = [];

    private GgufTensorPlan(GgufFile file, GgufHyperparameters h) => (_file, _h) = (file, h);

    /// <summary>Rules for every architecture: element types by rank, blocks numbered as block_count says, one embedding row a token.</summary>
    public static void CheckGeneral(GgufFile file, GgufHyperparameters h, long tokens)
    {
        foreach (var tensor in file.Tensors)
        {
            var vector = tensor.Dimensions.Count == 1 || tensor.Name.EndsWith(".bias", StringComparison.Ordinal);
            if (vector ? tensor.Type is not (GgufType.F32 or GgufType.I32) : !tensor.Type.IsWeight())
                throw GgufFile.Refuse(tensor.Name, "gguf-tensor-type", $"{(vector ? "a vector" : "a matrix")} of type {tensor.Type}; {(vector ? "norms and biases are F32" : "that is no type for weights")}", Contradiction);
        }
        if (file.Find("token_embd.weight") is { } embedding && embedding.Rows != tokens)
            throw GgufFile.Refuse("tokenizer.ggml.tokens", "gguf-vocab-size", $"{tokens} tokens, but {embedding.Rows} rows of token_embd.weight", Contradiction);
        for (var i = 0; i < h.Blocks; i++)
            if (!file.Tensors.Any(t => t.Name.StartsWith($"blk.{i}.", StringComparison.Ordinal)))
                throw GgufFile.Refuse($"blk.{i}.attn_norm.weight", "gguf-tensor-missing", $"block {i} of {h.Blocks} has no tensors", Contradiction);
        if (h.Experts > 0 && !file.Tensors.Any(t => t.Name.Contains("_exps", StringComparison.Ordinal)))
            throw GgufFile.Refuse(h.Key("expert_count"), "gguf-hyperparameter", $"{h.Experts} experts without their tensors", Contradiction);
        foreach (var tensor in file.Tensors.Where(t => t.Name.EndsWith("_exps.weight", StringComparison.Ordinal)))
            if (h.Experts > 0 && tensor.Dimensions[^1] != h.Experts)
                throw GgufFile.Refuse(tensor.Name, "gguf-tensor-shape", $"{tensor.Dimensions[^1]} experts instead of {h.Experts}", Contradiction);
    }

    /// <summary>Every tensor of a known layout. Returns the names that the architecture does not have; libllama loads no such file.</summary>
    public static IReadOnlyList<string> Check(GgufFile file, GgufHyperparameters h, DecoderLayout layout, long tokens)
    {
        var plan = new GgufTensorPlan(file, h);
        plan.CheckEnds(layout, tokens);
        for (var i = 0; i < h.Blocks; i++) plan.CheckBlock(layout, i);
        return [.. file.Tensors.Select(t => t.Name).Where(n => !plan._known.Contains(n))];
    }

    private void CheckEnds(DecoderLayout layout, long tokens)
    {
        Need("token_embd.weight", _h.Embedding, tokens);
        Need("output_norm.weight", _h.Embedding);
        if (layout.OwnHead == true) Need("output.weight", _h.Embedding, tokens);
        else if (layout.OwnHead is null) May("output.weight", _h.Embedding, tokens);
        if (layout.HeadBias) May("output.bias", tokens);
        if (layout.ClassifierHead) May("cls.output.weight", _h.Embedding, _h.Labels);
        if (layout.RopeFactors) May("rope_freqs.weight", _h.RotatedDimensions / 2);
        if (!layout.LongRopeFactors) return;
        May("rope_factors_long.weight", _h.RotatedDimensions / 2);
        May("rope_factors_short.weight", _h.RotatedDimensions / 2);
    }

    private void CheckBlock(DecoderLayout layout, int block)
    {
        var p = $"blk.{block}.";
        var q = _h.HeadLength * _h.Heads[block];
        var kv = _h.HeadLength * _h.KeyValueHeads[block];

        if (layout.NormBefore) Need(p + "attn_norm.weight", _h.Embedding);
        if (layout.NormAfter) Need(p + "post_attention_norm.weight", _h.Embedding);
        if (_file.Find(p + "attn_qkv.weight") is null)
        {
            Matrix(p + "attn_q", _h.Embedding, q, biasAllowed: true);
            Matrix(p + "attn_k", _h.Embedding, kv, biasAllowed: true);
            Matrix(p + "attn_v", _h.Embedding, kv, biasAllowed: true);
        }
        else Matrix(p + "attn_qkv", _h.Embedding, q + 2 * kv, biasAllowed: true);
        Matrix(p + "attn_output", q, _h.Embedding, layout.Biases);
        if (layout.QueryKeyNorm != QueryKeyNorm.None)
        {
            Need(p + "attn_q_norm.weight", layout.QueryKeyNorm == QueryKeyNorm.PerHead ? _h.HeadLength : q);
            Need(p + "attn_k_norm.weight", layout.QueryKeyNorm == QueryKeyNorm.PerHead ? _h.HeadLength : kv);
        }

        if (layout.NormBefore) Need(p + "ffn_norm.weight", _h.Embedding);
        if (layout.NormAfter) Need(p + "post_ffw_norm.weight", _h.Embedding);
        if (_h.Experts > 0) CheckExperts(p, block);
        else
        {
            var width = _h.FeedForward[block];
            if (!layout.FusedGateUp) Matrix(p + "ffn_gate", _h.Embedding, width, layout.Biases);
            Matrix(p + "ffn_up", _h.Embedding, layout.FusedGateUp ? 2 * width : width, layout.Biases);
            Matrix(p + "ffn_down", width, _h.Embedding, layout.Biases);
        }
    }

    private void CheckExperts(string p, int block)
    {
        var width = _h.ExpertFeedForward > 0 ? _h.ExpertFeedForward : _h.FeedForward[block];
        Need(p + "ffn_gate_inp.weight", _h.Embedding, _h.Experts);
        Need(p + "ffn_gate_exps.weight", _h.Embedding, width, _h.Experts);
        Need(p + "ffn_up_exps.weight", _h.Embedding, width, _h.Experts);
        Need(p + "ffn_down_exps.weight", width, _h.Embedding, _h.Experts);
        if (_h.SharedExpertFeedForward == 0) return;
        Need(p + "ffn_gate_shexp.weight", _h.Embedding, _h.SharedExpertFeedForward);
        Need(p + "ffn_up_shexp.weight", _h.Embedding, _h.SharedExpertFeedForward);
        Need(p + "ffn_down_shexp.weight", _h.SharedExpertFeedForward, _h.Embedding);
    }

    private void Matrix(string name, long rowLength, long rows, bool biasAllowed)
    {
        Need(name + ".weight", rowLength, rows);
        May(name + ".scale", 1);
        May(name + ".input_scale", 1);
        if (biasAllowed) May(name + ".bias", rows);
    }

    private void Need(string name, params ReadOnlySpan<long> dimensions)
    {
        if (_file.Find(name) is null) throw GgufFile.Refuse(name, "gguf-tensor-missing", $"the tensor {name} is missing", Contradiction);
        May(name, dimensions);
    }

    private void May(string name, params ReadOnlySpan<long> dimensions)
    {
        _known.Add(name);
        if (_file.Find(name) is not { } tensor) return;
        if (dimensions.Length == 1 && tensor.Type != GgufType.F32)
            throw GgufFile.Refuse(name, "gguf-tensor-type", $"a vector of type {tensor.Type}; norms, biases and factors are F32", Contradiction);
        if (!tensor.Has(dimensions))
            throw GgufFile.Refuse(name, "gguf-tensor-shape", $"{string.Join(" × ", tensor.Dimensions)} instead of {string.Join(" × ", dimensions.ToArray())}, which the hyperparameters ask for", Contradiction);
    }
}
