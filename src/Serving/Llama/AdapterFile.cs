using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Serving.Llama;

/// <summary>
/// Checks a GGUF LoRA adapter against its base before libllama reads it: kind, architecture, and for every pair of matrices
/// the tensor it belongs to, the shapes and the types (libllama asserts types only when it multiplies).
/// </summary>
internal static class AdapterFile
{
    private const string Remedy = "export the adapter again for this base model";

    /// <exception cref="RefusedException">The file is no LoRA adapter for this model.</exception>
    public static void Check(string path, GgufFile model)
    {
        if (!File.Exists(path)) throw new RefusedException("adapter-not-found", $"{path} does not exist", "give the path of a GGUF adapter");
        using var adapter = GgufFile.Open(path);
        var metadata = adapter.Metadata;
        if (metadata.TryString("general.type") != "adapter" || metadata.TryString("adapter.type") != "lora")
            throw Refuse("not-an-adapter", $"{Path.GetFileName(path)} is no LoRA adapter");
        var (own, wanted) = (metadata.TryString("general.architecture"), model.Metadata.String("general.architecture"));
        if (own != wanted) throw Refuse("adapter-architecture", $"the adapter belongs to a {own} model, the base is {wanted}");
        if (metadata.TryFloat32("adapter.lora.alpha") is { } alpha && !float.IsFinite(alpha)) throw Refuse("adapter-alpha", "adapter.lora.alpha is not finite");

        var names = adapter.Tensors.Select(t => t.Name).Where(n => n.EndsWith(".lora_a", StringComparison.Ordinal) || n.EndsWith(".lora_b", StringComparison.Ordinal)).Select(n => n[..^7]).ToHashSet();
        if (names.Count == 0) throw Refuse("adapter-empty", "the adapter has no matrices");
        if (adapter.Tensors.FirstOrDefault(t => !t.Name.Contains(".lora_", StringComparison.Ordinal) || !names.Contains(t.Name[..^7])) is { } foreign)
            throw Refuse("adapter-tensor", $"{foreign.Name} is no part of a LoRA adapter");
        foreach (var name in names) CheckPair(name, adapter, model);
    }

    // a: (in, rank), b: (rank, out) for a base tensor (in, out), in GGUF's order; the embedding's pair is turned round.
    private static void CheckPair(string name, GgufFile adapter, GgufFile model)
    {
        var target = model.Find(name) ?? throw Refuse("adapter-tensor", $"the base has no tensor {name}");
        if (adapter.Find(name + ".lora_a") is not { } a || adapter.Find(name + ".lora_b") is not { } b) throw Refuse("adapter-pair", $"{name} has only one of its two matrices");
        foreach (var matrix in (GgufTensor[])[a, b])
            if (matrix.Dimensions.Count != 2 || matrix.Type is not (GgufType.F32 or GgufType.F16 or GgufType.BF16 or GgufType.Q8_0))
                throw Refuse("adapter-tensor", $"{matrix.Name} is no matrix of F32, F16, BF16 or Q8_0");
        if (target.Dimensions.Count != 2) throw Refuse("adapter-tensor", $"{name} of the base is no matrix");
        var fits = name == "token_embd.weight"
            ? target.Dimensions[0] == b.Dimensions[1] && target.Dimensions[1] == a.Dimensions[1] && a.Dimensions[0] == b.Dimensions[0]
            : target.Dimensions[0] == a.Dimensions[0] && target.Dimensions[1] == b.Dimensions[1] && a.Dimensions[1] == b.Dimensions[0];
        if (!fits) throw Refuse("adapter-shape", $"{name}: matrices of {Shape(a)} and {Shape(b)} do not fit the base's {Shape(target)}");
    }

    private static string Shape(GgufTensor tensor) => string.Join('×', tensor.Dimensions);

    private static RefusedException Refuse(string code, string message) => new(code, message, Remedy);
}
