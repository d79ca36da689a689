namespace TokenMill.Shared.Formats.Gguf;

/// <summary>
/// The numbers under the architecture's prefix, each checked for its own sense. Lists have one entry a block.
/// libllama asserts most of these rules, which would end the process.
/// </summary>
internal sealed record GgufHyperparameters
{
    private const int MaxBlocks = 512, MaxExperts = 1024, MaxWidth = 1 << 20, MaxContext = 1 << 30;

    private readonly GgufMetadata _metadata;
    private readonly string _architecture;

    public GgufHyperparameters(GgufMetadata metadata, GgufArchitecture architecture)
    {
        (_metadata, _architecture) = (metadata, architecture.Name);
        CheckTypes();
        CheckNumbers();
        ContextLength = Required("context_length", MaxContext);
        Embedding = Required("embedding_length", MaxWidth);
        Blocks = Required("block_count", MaxBlocks);
        var predicted = Optional("nextn_predict_layers") ?? 0;
        if (predicted > Blocks) throw Wrong("nextn_predict_layers", $"{predicted} of {Blocks} blocks");
        FeedForward = PerBlock("feed_forward_length", MaxWidth) ?? [];
        Heads = PerBlock("attention.head_count", MaxWidth) ?? [];
        KeyValueHeads = PerBlock("attention.head_count_kv", MaxWidth) ?? Heads;
        var heads = Heads.FirstOrDefault();
        HeadLength = Optional("attention.key_length") ?? (heads > 0 ? Embedding / heads : 0);
        ValueLength = Optional("attention.value_length") ?? (heads > 0 ? Embedding / heads : 0);
        RotatedDimensions = Optional("rope.dimension_count") ?? HeadLength;
        CheckRotation();
        (Experts, ExpertsUsed) = ReadExperts();
        ExpertFeedForward = PerBlock("expert_feed_forward_length", MaxWidth)?[0] ?? 0;
        SharedExpertFeedForward = Optional("expert_shared_feed_forward_length") ?? 0;
        Labels = metadata.Count(Key("classifier.output_labels")) ?? 1;
        if (architecture.Layout is { } layout) CheckDecoder(layout);
    }

    public long ContextLength { get; }
    public long Embedding { get; }
    public long Blocks { get; }
    public IReadOnlyList<long> FeedForward { get; }
    public IReadOnlyList<long> Heads { get; }
    public IReadOnlyList<long> KeyValueHeads { get; }
    public long HeadLength { get; }
    public long ValueLength { get; }
    public long RotatedDimensions { get; }
    public long Experts { get; }
    public long ExpertsUsed { get; }
    public long ExpertFeedForward { get; }
    public long SharedExpertFeedForward { get; }
    public long Labels { get; }

    public string Key(string name) => $"{_architecture}.{name}";

    private static readonly string[] Reals =
    [
        "attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon", "attention.scale", "attention.clamp_kqv", "attention.max_alibi_bias", "attention.temperature_scale",
        "attn_logit_softcapping", "final_logit_softcapping", "logit_scale", "residual_scale", "embedding_scale", "expert_weights_scale",
        "rope.freq_base", "rope.freq_base_swa", "rope.scale_linear", "rope.scaling.factor", "rope.scaling.attn_factor", "rope.scaling.alpha", "rope.scaling.yarn_log_multiplier",
    ];

    private static readonly string[] Wholes =
    [
        "vocab_size", "attention.sliding_window", "rope.scaling.original_context_length", "embedding_length_out", "pooling_type", "leading_dense_block_count", "expert_shared_count",
    ];

    // A number of another type than libllama reads makes it give up.
    private void CheckTypes()
    {
        foreach (var key in Reals.Select(Key)) if (!_metadata.IsArray(key)) _metadata.TryFloat32(key);
        foreach (var key in Wholes.Select(Key)) if (!_metadata.IsArray(key)) _metadata.TryUInt32(key);
        foreach (var key in (string[])["general.file_type", "general.quantization_version"]) _metadata.TryUInt32(key);
        _metadata.TryBool(Key("attention.causal"));
    }

    // No number of the architecture is infinite or NaN; those named epsilon are not negative; bases and factors of RoPE are positive.
    private void CheckNumbers()
    {
        foreach (var key in _metadata.Keys.Where(k => k.StartsWith(_architecture + ".", StringComparison.Ordinal)))
        {
            if (_metadata.TypeOf(key) != GgufValueType.Float32) continue;
            var values = _metadata.IsArray(key) ? _metadata.TryFloat32s(key)! : [_metadata.Float32(key)];
            if (!values.All(float.IsFinite)) throw Refuse(key, "is not finite");
            if (key.EndsWith("epsilon", StringComparison.Ordinal) && values.Any(v => v is < 0 or > 1)) throw Refuse(key, $"is {values[0]}; it lies between 0 and 1");
            if (key.Contains(".rope.freq_base", StringComparison.Ordinal) && values.Any(v => v <= 0)) throw Refuse(key, $"is {values[0]}; it is above 0");
            if (key.Contains(".rope.scal", StringComparison.Ordinal) && !key.EndsWith("multiplier", StringComparison.Ordinal) && values.Any(v => v < 0))
                throw Refuse(key, $"is {values[0]}; it is not negative");
        }
    }

    private void CheckRotation()
    {
        if (_metadata.Has(Key("rope.dimension_count")) && (RotatedDimensions is 0 or > MaxWidth || RotatedDimensions % 2 != 0))
            throw Wrong("rope.dimension_count", $"{RotatedDimensions}; RoPE turns pairs, so it is even and above 0");
        if (_metadata.TryString(Key("rope.scaling.type")) is { } scaling && scaling is not ("none" or "linear" or "yarn" or "longrope"))
            throw Wrong("rope.scaling.type", $"the unknown RoPE scaling '{scaling}'");
    }

    private (long Experts, long Used) ReadExperts()
    {
        var experts = Optional("expert_count") ?? 0;
        var used = PerBlock("expert_used_count", MaxExperts)?.Max() ?? 0;
        if (experts > MaxExperts) throw Wrong("expert_count", $"{experts}; at most {MaxExperts} are possible");
        if (used > experts || experts > 0 && used == 0) throw Wrong(used == 0 ? "expert_count" : "expert_used_count", $"{used} of {experts} experts are used");
        var groups = Optional("expert_group_count") ?? 0;
        if (groups > 0 && (groups >= experts || groups > 1 && (experts % groups != 0 || (Optional("expert_group_used_count") ?? 0) is var g && (g == 0 || g >= groups))))
            throw Wrong("expert_group_count", $"{groups} groups of {experts} experts");
        return (experts, used);
    }

    private void CheckDecoder(DecoderLayout layout)
    {
        foreach (var name in (string[])["attention.head_count", "feed_forward_length", "attention.layer_norm_rms_epsilon", .. layout.RequiredNumbers])
            if (!_metadata.Has(Key(name))) throw GgufFile.Refuse(Key(name), "gguf-key-missing", $"the file lacks {Key(name)}");
        _metadata.Float32(Key("attention.layer_norm_rms_epsilon"));
        for (var i = 0; i < Blocks; i++)
        {
            if (Heads[i] == 0) throw Wrong("attention.head_count", "no attention heads");
            if (KeyValueHeads[i] == 0 || Heads[i] % KeyValueHeads[i] != 0)
                throw Wrong("attention.head_count_kv", $"{KeyValueHeads[i]} key-value heads for {Heads[i]} heads, which is no whole share");
            if (FeedForward[i] == 0) throw Wrong("feed_forward_length", "0");
        }
        if (HeadLength is 0 or > MaxWidth || HeadLength != ValueLength)
            throw Wrong("attention.key_length", $"keys of {HeadLength} and values of {ValueLength} numbers");
        if (!layout.FreeHeadLength && HeadLength * Heads[0] != Embedding)
            throw Wrong("attention.head_count", $"{Heads[0]} heads of {HeadLength} do not make an embedding of {Embedding}");
        if (layout.FullRotation ? RotatedDimensions != HeadLength : RotatedDimensions > HeadLength || RotatedDimensions % 2 != 0)
            throw Wrong("rope.dimension_count", $"RoPE over {RotatedDimensions} of {HeadLength} dimensions of a head");
        if (Experts > 0 ? layout.Experts == ExpertUse.None : layout.Experts == ExpertUse.Always)
            throw Wrong("expert_count", $"{Experts} experts in {_architecture}");
        if (Optional("nextn_predict_layers") is > 0) throw Wrong("nextn_predict_layers", $"prediction layers, which {_architecture} does not have");
        foreach (var (name, value) in ((string, long)[])[("attention.key_length_swa", HeadLength), ("attention.value_length_swa", ValueLength), ("rope.dimension_count_swa", RotatedDimensions)])
            if (Optional(name) is { } windowed && windowed != value) throw Wrong(name, $"{windowed} in layers with a window, {value} in the others");
    }

    private long Required(string name, long max)
    {
        var value = Optional(name) ?? throw GgufFile.Refuse(Key(name), "gguf-key-missing", $"the file lacks {Key(name)}");
        return value > 0 && value <= max ? value : throw Wrong(name, $"{value}; it lies between 1 and {max}");
    }

    private long? Optional(string name) =>
        _metadata.IsArray(Key(name)) ? throw GgufFile.Refuse(Key(name), "gguf-key-type", $"{Key(name)} is an array") : _metadata.TryUInt32(Key(name));

    private long[]? PerBlock(string name, long max)
    {
        var key = Key(name);
        if (!_metadata.Has(key)) return null;
        long[] values;
        if (_metadata.IsArray(key))
        {
            values = [.. _metadata.TryInt32s(key)!.Select(v => (long)v)];
            if (values.Length != Blocks) throw Wrong(name, $"{values.Length} values for {Blocks} blocks");
        }
        else values = [.. Enumerable.Repeat((long)_metadata.UInt32(key), (int)Blocks)];
        return values.All(v => v >= 0 && v <= max) ? values : throw Wrong(name, $"{values.Max()}; at most {max} is possible");
    }

    private Exception Wrong(string name, string what) =>
        GgufFile.Refuse(Key(name), "gguf-hyperparameter", what, "the model contradicts itself: convert it again from the original");

    private static Exception Refuse(string key, string what) =>
        GgufFile.Refuse(key, "gguf-hyperparameter", $"{key} {what}", "the model contradicts itself: convert it again from the original");
}
