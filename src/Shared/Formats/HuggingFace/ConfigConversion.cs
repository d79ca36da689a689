using System.Text.Json;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>config.json as hyperparameters of GGUF. What RoPE's scaling makes of each pair of dimensions becomes tensors where GGUF wants them as such.</summary>
internal static class ConfigConversion
{
    /// <exception cref="RefusedException">config-unsupported: something that GGUF has no word for.</exception>
    public static void Write(HuggingFaceConfig config, GgufWriter writer)
    {
        var family = config.Family;
        CheckActivation(config);
        void Number(string name, long value) => writer.Add(family.Key(name), checked((uint)value));
        Number("block_count", config.Layers);
        Number("context_length", config.ContextLength);
        Number("embedding_length", config.HiddenSize);
        Number("feed_forward_length", config.IntermediateSize);
        Number("attention.head_count", config.Heads);
        Number("attention.head_count_kv", config.KeyValueHeads);
        Number("attention.key_length", config.HeadLength);
        Number("attention.value_length", config.HeadLength);
        Number("rope.dimension_count", RotatedDimensions(config));
        Number("vocab_size", config.VocabularySize);
        writer.Add(family.Key("rope.freq_base"), (float)config.RopeTheta);
        writer.Add(family.Key("attention.layer_norm_rms_epsilon"), (float)config.Epsilon);
        if (config.RopeScaling is { } scaling) WriteScaling(config, scaling, writer);
        family.AddToGguf(config, writer);
    }

    public static RefusedException Unsupported(string field, string what, string remedy = "choose a model without it") =>
        new(new Error("config-unsupported", $"{field}: {what} cannot be converted", remedy) { Field = field });

    private static void CheckActivation(HuggingFaceConfig config)
    {
        var name = config.Text("hidden_activation") ?? config.Text("hidden_act");
        var expected = config.Family.GateIsGelu ? "gelu_pytorch_tanh" : "silu";
        // Gemma's first files said gelu and meant its tanh form.
        if (name is not null && name != expected && !(name == "swish" && expected == "silu") && !(config.Family.ModelType == "gemma" && name == "gelu"))
            throw Unsupported("hidden_act", $"the activation {name} in a {config.Family.ModelType} model", $"such models have {expected}");
    }

    private static long RotatedDimensions(HuggingFaceConfig config)
    {
        var share = config.Number("partial_rotary_factor") ?? (config.RopeScaling is { } scaling ? config.Number(scaling, "partial_rotary_factor") : null) ?? 1;
        if (share is not (> 0 and <= 1) || share != 1 && config.Family.Layout.FullRotation) throw Unsupported("partial_rotary_factor", $"a rotation of {share} of each head");
        return (long)(config.HeadLength * share) / 2 * 2;
    }

    private static void WriteScaling(HuggingFaceConfig config, JsonElement scaling, GgufWriter writer)
    {
        var family = config.Family;
        double Required(string name) => config.Number(scaling, name) is { } number and > 0 ? number : throw Unsupported($"rope_scaling.{name}", "a scaling of RoPE without it, or not above 0,");
        long Original() => config.Whole(scaling, "original_max_position_embeddings") ?? config.Whole("original_max_position_embeddings") ?? config.ContextLength;
        switch (config.RopeScalingType)
        {
            case "dynamic": return;                          // changes nothing within max_position_embeddings, and beyond the file does not go
            case "linear":
                writer.Add(family.Key("rope.scaling.type"), "linear");
                writer.Add(family.Key("rope.scaling.factor"), (float)Required("factor"));
                return;
            case "llama3":
                if (!family.Layout.RopeFactors) throw Unsupported("rope_scaling", $"Llama 3's scaling of RoPE in a {family.ModelType} model");
                var llama3 = new RopeScaling.Llama3(Required("factor"), Required("low_freq_factor"), Required("high_freq_factor"), Required("original_max_position_embeddings"));
                var factors = RopeScaling.Factors(llama3, config.RopeTheta, (int)config.HeadLength);
                writer.AddTensor("rope_freqs.weight", [factors.Length], factors);
                return;
            case "yarn":
                WriteYarn(config, scaling, Required("factor"), Original(), writer);
                return;
            case "longrope" or "su":
                if (!family.Layout.LongRopeFactors) throw Unsupported("rope_scaling", $"LongRoPE in a {family.ModelType} model");
                var pairs = RotatedDimensions(config) / 2;
                var growth = (double)config.ContextLength / Original();
                var magnitude = config.Number(scaling, "attention_factor") ?? (growth > 1 ? Math.Sqrt(1 + Math.Log(growth) / Math.Log(Original())) : 1);
                writer.Add(family.Key("rope.scaling.original_context_length"), (uint)Original());
                writer.Add(family.Key("rope.scaling.attn_factor"), (float)magnitude);
                foreach (var (name, tensor) in ((string, string)[])[("long_factor", "rope_factors_long.weight"), ("short_factor", "rope_factors_short.weight")])
                {
                    var values = config.Numbers(scaling, name);
                    if (values?.Count != pairs) throw Unsupported($"rope_scaling.{name}", $"{values?.Count ?? 0} factors for {pairs} pairs of dimensions");
                    writer.AddTensor(tensor, [pairs], values.Select(v => (float)v).ToArray());
                }
                return;
        }
    }

    private static void WriteYarn(HuggingFaceConfig config, JsonElement scaling, double factor, long original, GgufWriter writer)
    {
        var family = config.Family;
        foreach (var name in (string[])["mscale", "mscale_all_dim"])
            if (config.Number(scaling, name) is not null) throw Unsupported($"rope_scaling.{name}", "this form of YaRN");
        writer.Add(family.Key("rope.scaling.type"), "yarn");
        writer.Add(family.Key("rope.scaling.factor"), (float)factor);
        writer.Add(family.Key("rope.scaling.original_context_length"), (uint)original);
        if (config.Number(scaling, "beta_fast") is { } fast) writer.Add(family.Key("rope.scaling.yarn_beta_fast"), (float)fast);
        if (config.Number(scaling, "beta_slow") is { } slow) writer.Add(family.Key("rope.scaling.yarn_beta_slow"), (float)slow);
        // libllama multiplies what is written here by YaRN's usual magnitude.
        if (config.Number(scaling, "attention_factor") is { } magnitude) writer.Add(family.Key("rope.scaling.attn_factor"), (float)(magnitude / (0.1 * Math.Log(factor) + 1)));
    }
}
