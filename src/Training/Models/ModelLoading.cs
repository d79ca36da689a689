using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Export;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Models;

/// <summary>From a file to a model.</summary>
public static class ModelLoading
{
    /// <summary>Checks a GGUF file in full and builds its model, with the whole modules of an adapter that was made for it.</summary>
    public static CausalModel Load(string path, ModelUse use, AdapterWeights? adapter = null)
    {
        using var file = GgufFile.Open(path);
        GgufModel.Check(file);
        return new CausalModel(ModelConfig.FromGguf(file), new SavedWeights(new GgufWeights(file), file, adapter?.Saved ?? []), use.For(adapter?.Config));
    }

    /// <summary>The format to compute in: what was asked for, or the faster one this processor has; on a GPU bfloat16.</summary>
    public static TensorType Resolve(NumberFormat format)
    {
        if (TorchDevice.IsGpu) return format == NumberFormat.Float32 ? TensorType.Float32 : TensorType.BFloat16;
        var machine = TorchRuntime.Describe();
        if (format == NumberFormat.BFloat16 && !machine.HasBFloat16)
            throw new RefusedException("bfloat16-unsupported", "dtype: this processor has no AVX-512, without which bfloat16 products do not run", "take float32 or auto");
        return format == NumberFormat.BFloat16 || format == NumberFormat.Auto && machine.HasFastBFloat16 ? TensorType.BFloat16 : TensorType.Float32;
    }
}
