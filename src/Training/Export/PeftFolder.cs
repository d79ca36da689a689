using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Shared.Formats.Safetensors;
using TokenMill.Training.Lora;

namespace TokenMill.Training.Export;

/// <summary>Writes an adapter as the folder that peft's PeftModel.from_pretrained reads.</summary>
public static class PeftFolder
{
    public static void Write(string folder, AdapterWeights adapter)
    {
        var weights = new SafetensorsWriter();
        foreach (var module in adapter.Modules.OrderBy(m => m.Module, StringComparer.Ordinal))
        {
            Add(weights, PeftAdapter.TensorName(module.Module, 'A'), [module.Rank, module.Inputs], module.A);
            Add(weights, PeftAdapter.TensorName(module.Module, 'B'), [module.Outputs, module.Rank], module.B);
            if (adapter.Magnitudes.TryGetValue(module.Module, out var magnitude)) Add(weights, PeftAdapter.MagnitudeName(module.Module), [module.Outputs], magnitude);
        }
        Directory.CreateDirectory(folder);
        weights.Save(Path.Combine(folder, PeftAdapter.WeightsName));
        AtomicFile.Write(Path.Combine(folder, PeftConfig.FileName), stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(Config(adapter).ToJsonString(Json.Indented) + "\n")));
    }

    private static void Add(SafetensorsWriter weights, string name, long[] shape, float[] values) =>
        weights.Add(name, shape, SafetensorsType.F32, stream => stream.Write(MemoryMarshal.AsBytes<float>(values)));

    private static JsonObject Config(AdapterWeights adapter)
    {
        var config = adapter.Config;
        return new JsonObject
        {
            ["peft_type"] = "LORA",
            ["task_type"] = "CAUSAL_LM",
            ["base_model_name_or_path"] = config.BaseName,
            ["r"] = config.Rank,
            ["lora_alpha"] = config.Alpha,
            ["lora_dropout"] = config.Dropout,
            ["target_modules"] = new JsonArray([.. Targets(adapter).Select(t => (JsonNode)t)]),
            ["bias"] = "none",
            ["use_rslora"] = config.RankStabilised,
            ["use_dora"] = config.Dora,
            ["fan_in_fan_out"] = false,
            ["init_lora_weights"] = true,
            ["modules_to_save"] = null,
            ["rank_pattern"] = new JsonObject(config.RankPattern.Select(p => KeyValuePair.Create(p.Key, (JsonNode?)p.Value))),
            ["alpha_pattern"] = new JsonObject(config.AlphaPattern.Select(p => KeyValuePair.Create(p.Key, (JsonNode?)p.Value))),
            ["inference_mode"] = true,
        };
    }

    private static IEnumerable<string> Targets(AdapterWeights adapter) => adapter.Modules.Select(m => m.Module[(m.Module.LastIndexOf('.') + 1)..]).Distinct();
}
