using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Shared.Formats.Safetensors;
using TokenMill.Training.Lora;

namespace TokenMill.Training.Export;

/// <summary>Writes an adapter as the folder that peft's PeftModel.from_pretrained reads.</summary>
public static class PeftFolder
{
    private const string Embedding = "model.embed_tokens.weight";

    /// <param name="model">The base: Hugging Face keeps some families' norms without the 1 that is added to them, and PEFT a tied output layer twice.</param>
    public static void Write(string folder, AdapterWeights adapter, GgufFile model)
    {
        var order = new TensorOrder(model);
        var tied = model.Find("output.weight") is null && adapter.Saved.Any(s => s.Name == Embedding);
        var weights = new SafetensorsWriter();
        foreach (var module in adapter.Modules.OrderBy(m => m.Module, StringComparer.Ordinal))
        {
            Add(weights, PeftAdapter.TensorName(module.Module, 'A'), [module.Rank, module.Inputs], module.A);
            Add(weights, PeftAdapter.TensorName(module.Module, 'B'), [module.Outputs, module.Rank], module.B);
            if (module.Magnitude is { } magnitude) Add(weights, PeftAdapter.MagnitudeName(module.Module), [module.Outputs], magnitude);
        }
        foreach (var saved in adapter.Saved.OrderBy(s => s.Name, StringComparer.Ordinal))
        {
            var values = saved.Read();
            if (order.AddsOne(order.Family.ToGguf(saved.Name)!)) foreach (ref var value in values.AsSpan()) value -= 1;
            Add(weights, PeftAdapter.SavedName(saved.Name), [.. saved.Shape.Select(d => (long)d)], values);
            if (tied && saved.Name == Embedding) Add(weights, PeftAdapter.SavedName("lm_head.weight"), [.. saved.Shape.Select(d => (long)d)], values);
        }
        Directory.CreateDirectory(folder);
        weights.Save(Path.Combine(folder, PeftAdapter.WeightsName));
        AtomicFile.Write(Path.Combine(folder, PeftConfig.FileName), stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(Config(adapter, tied).ToJsonString(Json.Indented) + "\n")));
    }

    private static void Add(SafetensorsWriter weights, string name, long[] shape, float[] values) =>
        weights.Add(name, shape, SafetensorsType.F32, stream => stream.Write(MemoryMarshal.AsBytes<float>(values)));

    private static JsonObject Config(AdapterWeights adapter, bool tied)
    {
        var config = adapter.Config;
        var json = new JsonObject
        {
            ["peft_type"] = "LORA",
            ["task_type"] = "CAUSAL_LM",
            ["base_model_name_or_path"] = config.BaseName,
            ["r"] = config.Rank,
            ["lora_alpha"] = config.Alpha,
            ["lora_dropout"] = config.Dropout,
            ["target_modules"] = Names(config.Targets.Count > 0 ? config.Targets : adapter.Modules.Select(m => m.Module)),
            ["bias"] = "none",
            ["use_rslora"] = config.RankStabilised,
            ["use_dora"] = config.Dora,
            ["fan_in_fan_out"] = false,
            ["init_lora_weights"] = true,
            ["modules_to_save"] = adapter.Saved.Count > 0 ? Names(adapter.Saved.Select(s => s.Name[..s.Name.LastIndexOf('.')])) : null,
            ["rank_pattern"] = new JsonObject(config.RankPattern.Select(p => KeyValuePair.Create(p.Key, (JsonNode?)p.Value))),
            ["alpha_pattern"] = new JsonObject(config.AlphaPattern.Select(p => KeyValuePair.Create(p.Key, (JsonNode?)p.Value))),
            ["inference_mode"] = true,
        };
        if (tied) json["ensure_weight_tying"] = true;
        return json;
    }

    private static JsonArray Names(IEnumerable<string> names) => [.. names.Select(name => (JsonNode)name)];
}
