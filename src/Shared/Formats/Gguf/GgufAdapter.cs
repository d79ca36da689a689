using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats.Gguf;

/// <summary>A LoRA adapter as a GGUF file: for each changed matrix W of the base, W.lora_a (in × rank) and W.lora_b (rank × out).</summary>
public sealed class GgufAdapter : IDisposable
{
    public const string AlphaKey = "adapter.lora.alpha";
    private const string OtherBase = "choose the base it was made for, or export it again";

    private GgufAdapter(GgufFile file, string architecture, float alpha, SortedDictionary<string, (GgufTensor A, GgufTensor B)> pairs) =>
        (File, Architecture, Alpha, Pairs) = (file, architecture, alpha, pairs);

    public GgufFile File { get; }
    public string Architecture { get; }

    /// <summary>The scale is alpha/rank, for rsLoRA too: its alpha is written as alpha·√rank.</summary>
    public float Alpha { get; }

    /// <summary>By the name of the base's tensor.</summary>
    public IReadOnlyDictionary<string, (GgufTensor A, GgufTensor B)> Pairs { get; }

    public static bool IsAdapter(GgufFile file) =>
        file.Metadata.TypeOf("general.type") == GgufValueType.String && file.Metadata.TryString("general.type") == "adapter";

    /// <summary>Takes the file over, also when it is refused.</summary>
    /// <exception cref="RefusedException">The adapter is of another kind or contradicts itself.</exception>
    public static GgufAdapter Read(GgufFile file)
    {
        try
        {
            var metadata = file.Metadata;
            if (!IsAdapter(file)) throw GgufFile.Refuse("general.type", "gguf-not-an-adapter", "a model, not an adapter", "choose an adapter");
            if (metadata.TryString("adapter.type") is var type && type != "lora")
                throw GgufFile.Refuse("adapter.type", "adapter-unsupported", $"the method '{type}'", "only LoRA is supported; other methods can be merged into their base first");
            var architecture = metadata.String("general.architecture");
            if (GgufArchitecture.Find(architecture) is null)
                throw GgufFile.Refuse("general.architecture", "gguf-architecture-unknown", $"the unknown architecture '{architecture}'", "export the adapter again");
            var alpha = metadata.Float32(AlphaKey);
            if (!float.IsFinite(alpha) || alpha < 0) throw GgufFile.Refuse(AlphaKey, "gguf-hyperparameter", $"alpha is {alpha}", "export the adapter again");
            return new GgufAdapter(file, architecture, alpha, ReadPairs(file));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <exception cref="RefusedException">The adapter does not fit the base.</exception>
    public void CheckFits(GgufFile model)
    {
        if (model.Metadata.String("general.architecture") is var architecture && architecture != Architecture)
            throw GgufFile.Refuse("general.architecture", "adapter-base-mismatch", $"made for {Architecture}, the base is {architecture}", OtherBase);
        foreach (var (name, (a, b)) in Pairs)
        {
            if (model.Find(name) is not { } tensor) throw GgufFile.Refuse(a.Name, "adapter-base-mismatch", $"the base has no tensor {name}", OtherBase);
            if (tensor.Dimensions.Count != 2 || tensor.Dimensions[0] != a.Dimensions[0] || tensor.Dimensions[1] != b.Dimensions[1])
                throw GgufFile.Refuse(a.Name, "adapter-base-mismatch", $"made for a matrix of {b.Dimensions[1]} × {a.Dimensions[0]}, the base's is {string.Join(" × ", tensor.Dimensions.Reverse())}", OtherBase);
        }
    }

    public void Dispose() => File.Dispose();

    private static SortedDictionary<string, (GgufTensor, GgufTensor)> ReadPairs(GgufFile file)
    {
        var pairs = new SortedDictionary<string, (GgufTensor, GgufTensor)>(StringComparer.Ordinal);
        foreach (var tensor in file.Tensors)
        {
            var isA = tensor.Name.EndsWith(".lora_a", StringComparison.Ordinal);
            if (!isA && !tensor.Name.EndsWith(".lora_b", StringComparison.Ordinal))
                throw GgufFile.Refuse(tensor.Name, "adapter-unsupported", "a tensor that is no matrix of LoRA", "only LoRA on linear layers is supported");
            var name = tensor.Name[..^".lora_a".Length];
            var other = name + (isA ? ".lora_b" : ".lora_a");
            if (file.Find(other) is not { } partner)
                throw GgufFile.Refuse(other, "adapter-tensor-missing", $"{tensor.Name} is there without its partner", OtherBase);
            if (tensor.Type is not (GgufType.F32 or GgufType.F16 or GgufType.BF16))
                throw GgufFile.Refuse(tensor.Name, "gguf-tensor-type", $"an adapter of type {tensor.Type}; F32, F16 and BF16 are supported", "export the adapter again");
            if (tensor.Dimensions.Count > 2)
                throw GgufFile.Refuse(tensor.Name, "gguf-dims", $"{tensor.Dimensions.Count} dimensions; adapters are matrices", "export the adapter again");
            if (isA) pairs[name] = (tensor, partner);
        }
        if (pairs.Count == 0) throw GgufFile.Refuse(null, "adapter-tensor-missing", "an adapter without tensors", "export the adapter again");
        foreach (var (a, b) in pairs.Values)
            if (a.Dimensions.Count != 2 || b.Dimensions.Count != 2 || a.Dimensions[1] != b.Dimensions[0])
                throw GgufFile.Refuse(a.Name, "adapter-rank", $"lora_a is {string.Join(" × ", a.Dimensions.Reverse())}, lora_b {string.Join(" × ", b.Dimensions.Reverse())}: their ranks differ", OtherBase);
        return pairs;
    }
}
