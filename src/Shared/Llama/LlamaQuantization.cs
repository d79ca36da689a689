using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama.Native;

namespace TokenMill.Shared.Llama;

/// <summary>llama.cpp's own quantiser: it chooses a type for each tensor from a file type.</summary>
public static class LlamaQuantization
{
    private static readonly Dictionary<string, int> FileTypes = new(StringComparer.OrdinalIgnoreCase)
    {
        ["Q4_0"] = 2, ["Q4_1"] = 3, ["Q8_0"] = 7, ["Q5_0"] = 8, ["Q5_1"] = 9, ["Q2_K"] = 10, ["Q3_K_S"] = 11, ["Q3_K_M"] = 12, ["Q3_K_L"] = 13, ["Q4_K_S"] = 14, ["Q4_K_M"] = 15, ["Q4_K"] = 15,
        ["Q5_K_S"] = 16, ["Q5_K_M"] = 17, ["Q5_K"] = 17, ["Q6_K"] = 18, ["IQ4_NL"] = 25, ["IQ4_XS"] = 30,
    };

    public static IEnumerable<string> Types => FileTypes.Keys;

    public static bool Knows(string type) => FileTypes.ContainsKey(type);

    /// <param name="source">A GGUF file that has passed <see cref="Formats.Gguf.GgufModel.Check"/>; quantised weights are expanded first.</param>
    /// <exception cref="RefusedException">llama-missing; quantisation-failed.</exception>
    public static void Quantize(string source, string target, string type, int threads)
    {
        LlamaLibrary.Load();
        LlamaLog.Clear();
        var parameters = LlamaNative.llama_model_quantize_default_params();
        (parameters.ftype, parameters.nthread, parameters.allow_requantize) = (FileTypes[type], threads, 1);
        if (LlamaNative.llama_model_quantize(source, target, parameters) != 0)
            throw new RefusedException("quantisation-failed", $"llama.cpp could not write {Path.GetFileName(target)} as {type}: {LlamaLog.Errors()}", "choose another type, or F16");
    }
}
