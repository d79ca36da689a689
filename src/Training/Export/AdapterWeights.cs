using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Shared.Formats.Safetensors;
using TokenMill.Training.Lora;
using TokenMill.Training.Models;

namespace TokenMill.Training.Export;

/// <summary>
/// A LoRA adapter as numbers, in Hugging Face's names and row order whatever file it came from. The change of a weight
/// is scale·B·A; with a magnitude (DoRA) each row is brought to that length afterwards.
/// </summary>
public sealed record AdapterWeights(PeftConfig Config, IReadOnlyList<LoraWeights> Modules)
{
    /// <summary>Modules that were trained whole beside the adapters; norms as GGUF holds them.</summary>
    public IReadOnlyList<TrainedWeight> Saved { get; init; } = [];

    /// <summary>The current numbers of an adapter in training, and of what is trained whole beside it.</summary>
    public static AdapterWeights Of(LoraAdapter adapter, CausalModel model, string? baseName) =>
        new(adapter.Config with { BaseName = baseName }, [.. adapter.Weights()]) { Saved = [.. model.Weights()] };

    public static AdapterWeights Load(string path, string modelPath)
    {
        using var model = GgufFile.Open(modelPath);
        return Load(path, model);
    }

    /// <summary>Reads a PEFT folder or a GGUF adapter and checks that it fits the base.</summary>
    /// <exception cref="RefusedException">The adapter is broken or made for another base.</exception>
    public static AdapterWeights Load(string path, GgufFile model) => Directory.Exists(path) ? FromPeft(path, model) : FromGguf(path, model);

    private static AdapterWeights FromPeft(string path, GgufFile model)
    {
        using var adapter = PeftAdapter.Open(path);
        var linears = AdapterBase.Of(model);
        adapter.CheckFits(linears);
        var (weights, config) = (adapter.Weights, adapter.Config);
        if (config.Targets.Count == 0) config = config with { Targets = ModulePattern.Cover(adapter.Pairs.Keys, linears.Linears.Keys) };
        LoraWeights Module(string name, PeftPair pair) =>
            new(name, (int)pair.A.Shape[0], (int)pair.A.Shape[1], (int)pair.B.Shape[0], weights.ReadFloats(pair.A), weights.ReadFloats(pair.B)) { Magnitude = pair.Magnitude is { } magnitude ? weights.ReadFloats(magnitude) : null };
        return new AdapterWeights(config, [.. adapter.Pairs.Select(p => Module(p.Key, p.Value))]) { Saved = [.. adapter.Saved.Select(s => ReadSaved(s.Key, s.Value, adapter, model))] };
    }

    private static TrainedWeight ReadSaved(string name, SafetensorsTensor tensor, PeftAdapter adapter, GgufFile model)
    {
        var order = new TensorOrder(model);
        var gguf = order.Family.ToGguf(name) is { } known && model.Find(known) is not null ? known
            : throw new RefusedException("adapter-base-mismatch", $"modules_to_save: the base has no {name}{(name == "lm_head.weight" ? " of its own: its output layer is tied to the embeddings" : "")}", "choose the base it was made for, or train the embeddings instead");
        if (!tensor.Has([.. model.Find(gguf)!.Dimensions.Reverse()]))
            throw new RefusedException("adapter-base-mismatch", $"{tensor.Name} is {string.Join(" × ", tensor.Shape)}, in the base it is {string.Join(" × ", model.Find(gguf)!.Dimensions.Reverse())}", "choose the base it was made for");
        var values = adapter.Weights.ReadFloats(tensor);
        if (order.AddsOne(gguf)) foreach (ref var value in values.AsSpan()) value += 1;
        return new TrainedWeight(name, [.. tensor.Shape.Select(d => (int)d)], () => values.ToArray());
    }

    private static AdapterWeights FromGguf(string path, GgufFile model)
    {
        if (!File.Exists(path)) throw new RefusedException("adapter-not-found", $"{path} does not exist", "give a PEFT folder or a GGUF adapter");
        using var adapter = GgufAdapter.Read(GgufFile.Open(path));
        adapter.CheckFits(model);
        var order = new TensorOrder(model);
        var modules = new List<LoraWeights>();
        foreach (var (name, (a, b)) in adapter.Pairs)
        {
            var module = order.Family.FromGguf(name) is { } weight ? weight[..^".weight".Length]
                : throw new RefusedException("adapter-unsupported", $"the adapter changes {name}, which has no name in Hugging Face's layout", "only LoRA on linear layers is supported");
            var (valuesA, valuesB) = (new float[a.Elements], new float[b.Elements]);
            adapter.File.ReadFloats(a, valuesA);
            adapter.File.ReadFloats(b, valuesB);
            var rank = (int)a.Rows;
            order.ToHuggingFace(name, valuesB, rank);
            modules.Add(new LoraWeights(module, rank, (int)a.RowLength, (int)b.Rows, valuesA, valuesB));
        }
        modules.Sort((x, y) => string.CompareOrdinal(x.Module, y.Module));
        var general = modules.Max(m => m.Rank);
        return new AdapterWeights(new PeftConfig
        {
            Rank = general,
            Alpha = adapter.Alpha,
            Targets = ModulePattern.Cover(modules.Select(m => m.Module), AdapterBase.Of(model).Linears.Keys),
            BaseName = model.Metadata.TryString("general.name"),
            RankPattern = modules.Where(m => m.Rank != general).ToDictionary(m => m.Module, m => m.Rank),
            // GGUF scales by alpha over each module's own rank, and so does PEFT.
        }, modules);
    }
}
