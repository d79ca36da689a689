using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Families;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Shared.Formats.Safetensors;

namespace TokenMill.Training.Export;

/// <summary>config.json from the hyperparameters of a GGUF file, in the older spelling (rope_theta, rope_scaling), which every version of transformers reads.</summary>
internal static class HuggingFaceConfigJson
{
    /// <exception cref="RefusedException">A hyperparameter that config.json of this family has no word for.</exception>
    public static JsonObject Build(GgufFile model, ModelFamily family, SafetensorsType type)
    {
        var metadata = model.Metadata;
        string Key(string name) => $"{family.Architecture}.{name}";
        long Number(string name) => metadata.UInt32(Key(name));
        if (metadata.TryUInt32(Key("expert_count")) is > 0) throw Unsupported(Key("expert_count"), "a mixture of experts");

        var (hidden, heads) = (Number("embedding_length"), Number("attention.head_count"));
        var head = metadata.TryUInt32(Key("attention.key_length")) ?? hidden / heads;
        var config = new JsonObject
        {
            ["architectures"] = new JsonArray(family.ClassName),
            ["model_type"] = family.ModelType,
            ["vocab_size"] = model.Find("token_embd.weight")!.Rows,
            ["hidden_size"] = hidden,
            ["intermediate_size"] = Number("feed_forward_length"),
            ["num_hidden_layers"] = Number("block_count"),
            ["num_attention_heads"] = heads,
            ["num_key_value_heads"] = metadata.TryUInt32(Key("attention.head_count_kv")) ?? heads,
            ["head_dim"] = head,
            [family.NormsAddOne ? "hidden_activation" : "hidden_act"] = family.NormsAddOne ? "gelu_pytorch_tanh" : "silu",
            ["max_position_embeddings"] = Number("context_length"),
            ["rms_norm_eps"] = ConfigNumber.Real(metadata.Float32(Key("attention.layer_norm_rms_epsilon"))),
            ["rope_theta"] = ConfigNumber.Real(metadata.TryFloat32(Key("rope.freq_base")) ?? 10000f),
            ["rope_scaling"] = Scaling(model, Key, (int)head),
            ["tie_word_embeddings"] = model.Find("output.weight") is null,
            ["attention_bias"] = !family.QueryKeyValueBias && model.Find("blk.0.attn_q.bias") is not null,
            ["torch_dtype"] = type switch { SafetensorsType.F16 => "float16", SafetensorsType.BF16 => "bfloat16", _ => "float32" },
        };
        foreach (var (name, here) in ((string, string)[])[("bos", "bos_token_id"), ("eos", "eos_token_id"), ("padding", "pad_token_id")])
            config[here] = metadata.TryUInt32($"tokenizer.ggml.{name}_token_id");
        family.AddToConfig(config, model);
        return config;
    }

    private static JsonObject? Scaling(GgufFile model, Func<string, string> key, int head)
    {
        var metadata = model.Metadata;
        if (model.Find("rope_factors_long.weight") is not null) return LongRope(model, key);
        if (model.Find("rope_freqs.weight") is { } tensor) return Llama3(model, tensor, metadata.TryFloat32(key("rope.freq_base")) ?? 10000, head);
        var type = metadata.TryString(key("rope.scaling.type"));
        var factor = metadata.TryFloat32(key("rope.scaling.factor"));
        return type switch
        {
            null or "none" => null,
            "linear" when factor is null or 1 => null,
            "linear" => new JsonObject { ["rope_type"] = "linear", ["factor"] = ConfigNumber.Real(factor.Value) },
            "yarn" when factor is not null => new JsonObject
            {
                ["rope_type"] = "yarn",
                ["factor"] = ConfigNumber.Real(factor.Value),
                ["original_max_position_embeddings"] = metadata.UInt32(key("rope.scaling.original_context_length")),
            },
            _ => throw Unsupported(key("rope.scaling.type"), $"the RoPE scaling '{type}'"),
        };
    }

    private static JsonObject Llama3(GgufFile model, GgufTensor tensor, double theta, int head)
    {
        var factors = new float[tensor.Elements];
        model.ReadFloats(tensor, factors);
        var scaling = RopeScaling.Recover(factors, theta, head) ?? throw Unsupported(tensor.Name, "factors of RoPE that are not Llama 3's");
        return new JsonObject
        {
            ["rope_type"] = "llama3",
            ["factor"] = ConfigNumber.Real((float)scaling.Factor),
            ["low_freq_factor"] = ConfigNumber.Real((float)scaling.LowFrequency),
            ["high_freq_factor"] = ConfigNumber.Real((float)scaling.HighFrequency),
            ["original_max_position_embeddings"] = (long)scaling.OriginalContext,
        };
    }

    private static JsonObject LongRope(GgufFile model, Func<string, string> key)
    {
        JsonArray Factors(string name)
        {
            var tensor = model.Find(name) ?? throw Unsupported(name, "missing factors of RoPE");
            var values = new float[tensor.Elements];
            model.ReadFloats(tensor, values);
            return new JsonArray([.. values.Select(v => ConfigNumber.Real(v))]);
        }
        var original = model.Metadata.UInt32(key("rope.scaling.original_context_length"));
        return new JsonObject
        {
            ["type"] = "longrope",
            ["long_factor"] = Factors("rope_factors_long.weight"),
            ["short_factor"] = Factors("rope_factors_short.weight"),
            ["original_max_position_embeddings"] = original,
        };
    }

    private static RefusedException Unsupported(string field, string what) =>
        new(new Error("config-unsupported", $"{field}: {what} cannot be written as a Hugging Face config yet", "export as gguf") { Field = field });
}
