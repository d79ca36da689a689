using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;

namespace TokenMill.Training.Export;

/// <summary>
/// Writes an adapter as GGUF for llama.cpp, which scales by alpha/rank: rsLoRA's alpha becomes alpha·√rank, and a module
/// with a scale of its own carries the difference in B. Rows of B follow the base's order of q and k; A is as it is.
/// </summary>
public static class GgufAdapterFile
{
    /// <exception cref="RefusedException">DoRA, or an adapter on a head that is tied to the embeddings: neither fits the format.</exception>
    public static void Write(string path, AdapterWeights adapter, GgufFile model)
    {
        if (!CanHold(adapter.Config, out var why)) throw new RefusedException("adapter-unsupported", why, "merge it into its base: export --format gguf");
        var order = new TensorOrder(model);
        var config = adapter.Config;
        var alpha = config.RankStabilised ? config.Alpha * Math.Sqrt(config.Rank) : config.Alpha;

        var writer = new GgufWriter();
        writer.Add("general.architecture", model.Metadata.String("general.architecture"));
        writer.Add("general.type", "adapter");
        writer.Add("adapter.type", "lora");
        writer.Add("general.name", $"{model.Metadata.TryString("general.name") ?? "model"} LoRA");
        writer.Add(GgufAdapter.AlphaKey, (float)alpha);
        foreach (var module in adapter.Modules)
        {
            var name = order.Family.ToGguf(module.Module + ".weight")!;
            if (model.Find(name) is null)
                throw new RefusedException("adapter-base-mismatch", $"the base has no tensor {name}{(name == "output.weight" ? ": its head is tied to the embeddings" : "")}", "leave this module out of the adapter's targets");
            var b = module.B.ToArray();
            var extra = config.ScaleOf(module.Module) * module.Rank / alpha;
            if (Math.Abs(extra - 1) > 1e-9 && alpha != 0) foreach (ref var value in b.AsSpan()) value = (float)(value * extra);
            order.ToGguf(name, b, module.Rank);
            Add(writer, name + ".lora_a", [module.Inputs, module.Rank], module.A);
            Add(writer, name + ".lora_b", [module.Rank, module.Outputs], b);
        }
        writer.Save(path);
    }

    /// <summary>GGUF knows A and B alone.</summary>
    public static bool CanHold(PeftConfig config, [NotNullWhen(false)] out string? why)
    {
        why = config.Dora ? "DoRA does not fit into a GGUF adapter, which has no place for magnitudes"
            : config.ModulesToSave.Count > 0 ? $"a GGUF adapter has no place for modules that were trained whole ({string.Join(", ", config.ModulesToSave)})"
            : null;
        return why is null;
    }

    private static void Add(GgufWriter writer, string name, long[] dimensions, float[] values) =>
        writer.AddTensor(name, dimensions, GgufType.F32, stream => stream.Write(MemoryMarshal.AsBytes<float>(values)));
}
