using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Safetensors;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>A LoRA adapter in peft's layout. Modules carry the names of the base ("model.layers.0.self_attn.q_proj").</summary>
public sealed class PeftAdapter : IDisposable
{
    public const string WeightsName = "adapter_model.safetensors";
    private const string Prefix = "base_model.model.";
    private const string OtherBase = "choose the base it was made for, or export it again";

    private PeftAdapter(PeftConfig config, SafetensorsFile weights, SortedDictionary<string, PeftPair> pairs) => (Config, Weights, Pairs) = (config, weights, pairs);

    /// <summary>Weights of the modules that were trained whole, by the base's names ("lm_head.weight").</summary>
    public IReadOnlyDictionary<string, SafetensorsTensor> Saved => Weights.Tensors.Where(t => IsSaved(Config, t.Name)).ToDictionary(t => t.Name[Prefix.Length..]);

    public PeftConfig Config { get; }
    public SafetensorsFile Weights { get; }
    public IReadOnlyDictionary<string, PeftPair> Pairs { get; }

    public static bool IsFolder(string path) =>
        File.Exists(Path.Combine(path, PeftConfig.FileName)) || File.Exists(Path.Combine(path, WeightsName)) || File.Exists(Path.Combine(path, "adapter_model.bin"));

    public static string TensorName(string module, char matrix) => $"{Prefix}{module}.lora_{matrix}.weight";

    public static string SavedName(string weight) => Prefix + weight;

    public static string MagnitudeName(string module) => $"{Prefix}{module}.lora_magnitude_vector.weight";

    /// <exception cref="RefusedException">The adapter is broken, of another method, or contradicts itself.</exception>
    public static PeftAdapter Open(string path)
    {
        var configPath = Path.Combine(path, PeftConfig.FileName);
        if (!File.Exists(configPath)) throw Refuse(PeftConfig.FileName, "config-missing", $"no {PeftConfig.FileName} in the folder", "fetch the missing file");
        var config = PeftConfig.Parse(JsonFile.Read(configPath, "config-invalid", 1 << 20, "export the adapter again"));
        var weightsPath = Path.Combine(path, WeightsName);
        if (!File.Exists(weightsPath) && File.Exists(Path.Combine(path, "adapter_model.bin")))
            throw Refuse("adapter_model.bin", "pickle-only", "the weights are there as adapter_model.bin only, a pickle, which can run code when it is opened", "save the adapter as safetensors");
        if (!File.Exists(weightsPath)) throw Refuse(WeightsName, "weights-missing", $"no {WeightsName} in the folder", "fetch the weights");
        var weights = SafetensorsFile.Open(weightsPath);
        try
        {
            return new PeftAdapter(config, weights, ReadPairs(config, weights));
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <exception cref="RefusedException">The adapter does not fit the base.</exception>
    public void CheckFits(AdapterBase model)
    {
        var known = model.Linears.Keys.Select(LastPart).ToHashSet();
        if (Config.Targets.FirstOrDefault(t => !known.Contains(LastPart(t))) is { } unknown)
            throw Refuse("target_modules", "adapter-target-unknown", $"the base has no module '{unknown}'", OtherBase);
        foreach (var (module, pair) in Pairs)
        {
            if (!model.Linears.TryGetValue(module, out var size)) throw Refuse(pair.A.Name, "adapter-base-mismatch", $"the base has no module {module}", OtherBase);
            if (pair.A.Shape[1] != size.In)
                throw Refuse(pair.A.Name, "adapter-base-mismatch", $"{pair.A.Name} takes {pair.A.Shape[1]} numbers, the base's module {size.In}", OtherBase);
            if (pair.B.Shape[0] != size.Out)
                throw Refuse(pair.B.Name, "adapter-base-mismatch", $"{pair.B.Name} gives {pair.B.Shape[0]} numbers, the base's module {size.Out}", OtherBase);
        }
    }

    public void Dispose() => Weights.Dispose();

    private static SortedDictionary<string, PeftPair> ReadPairs(PeftConfig config, SafetensorsFile weights)
    {
        var pairs = new SortedDictionary<string, PeftPair>(StringComparer.Ordinal);
        foreach (var tensor in weights.Tensors.Where(t => !IsSaved(config, t.Name) && !(config.TiesEmbeddings && t.Name == SavedName("lm_head.weight"))))
        {
            if (Module(tensor.Name) is not var (module, part))
                throw Refuse(tensor.Name, "adapter-unsupported", $"{tensor.Name} is no matrix of LoRA on a linear layer", "supported are LoRA, rsLoRA and DoRA on linear layers; other methods can be merged into their base first");
            if (part == "lora_magnitude_vector" && config.Dora) continue;
            var other = TensorName(module, part == "lora_A" ? 'B' : 'A');
            if (weights.Find(other) is not { } partner) throw Refuse(other, "adapter-tensor-missing", $"{tensor.Name} is there without {other}", OtherBase);
            if (part == "lora_A") pairs[module] = new PeftPair(tensor, partner, config.Dora ? weights.Find(MagnitudeName(module)) ?? weights.Find($"{Prefix}{module}.lora_magnitude_vector") : null);
        }
        if (pairs.Count == 0) throw Refuse(WeightsName, "adapter-tensor-missing", "an adapter without tensors", "export the adapter again");
        foreach (var (module, (a, b, magnitude)) in pairs)
        {
            if (a.Shape.Count != 2 || b.Shape.Count != 2) throw Refuse(a.Name, "adapter-unsupported", $"{a.Name} is no matrix", OtherBase);
            if (a.Shape[0] != config.RankOf(module) || b.Shape[1] != a.Shape[0])
                throw Refuse("r", "adapter-rank", $"r is {config.RankOf(module)}, but {a.Name} is {a.Shape[0]} × {a.Shape[1]} and its partner {b.Shape[0]} × {b.Shape[1]}", OtherBase);
            if (config.Dora && magnitude is null) throw Refuse(a.Name, "adapter-tensor-missing", $"DoRA without the magnitude of {module}", OtherBase);
        }
        return pairs;
    }

    private static bool IsSaved(PeftConfig config, string name) =>
        name.StartsWith(Prefix, StringComparison.Ordinal) && name.EndsWith(".weight", StringComparison.Ordinal) && Module(name) is null
        && name[Prefix.Length..^".weight".Length] is var module && config.ModulesToSave.Any(saved => module.EndsWith(saved, StringComparison.Ordinal));

    private static (string Module, string Part)? Module(string name)
    {
        if (!name.StartsWith(Prefix, StringComparison.Ordinal)) return null;
        var inner = name[Prefix.Length..];
        foreach (var part in (string[])["lora_A", "lora_B", "lora_magnitude_vector"])
            foreach (var ending in (string[])[$".{part}.weight", $".{part}"])
                if (inner.EndsWith(ending, StringComparison.Ordinal)) return (inner[..^ending.Length], part);
        return null;
    }

    private static string LastPart(string name) => name[(name.LastIndexOf('.') + 1)..];

    private static RefusedException Refuse(string field, string code, string message, string remedy) => new(new Error(code, message, remedy) { Field = field });
}

/// <summary>The two matrices of a module: A (rank, in), B (out, rank), and DoRA's magnitude (out) where there is one.</summary>
public sealed record PeftPair(SafetensorsTensor A, SafetensorsTensor B, SafetensorsTensor? Magnitude);
