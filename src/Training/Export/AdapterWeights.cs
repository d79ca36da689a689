using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Training.Lora;

namespace TokenMill.Training.Export;

/// <summary>
/// A LoRA adapter as numbers, in Hugging Face's names and row order whatever file it came from. The change of a weight
/// is scale·B·A; with <see cref="Magnitudes"/> (DoRA) each row is brought to that length afterwards.
/// </summary>
public sealed record AdapterWeights(PeftConfig Config, IReadOnlyList<LoraWeights> Modules)
{
    /// <summary>By module, one value a row; empty unless the adapter is DoRA.</summary>
    public IReadOnlyDictionary<string, float[]> Magnitudes { get; init; } = new Dictionary<string, float[]>();

    /// <summary>The current numbers of an adapter in training.</summary>
    public static AdapterWeights Of(LoraAdapter adapter, double dropout, string? baseName) => new(
        new PeftConfig { Rank = adapter.Rank, Alpha = adapter.Alpha, RankStabilised = adapter.RankStabilised, Dropout = dropout, Targets = adapter.Targets, BaseName = baseName },
        [.. adapter.Weights()]);

    /// <summary>Reads a PEFT folder or a GGUF adapter and checks that it fits the base.</summary>
    /// <exception cref="RefusedException">The adapter is broken or made for another base.</exception>
    public static AdapterWeights Load(string path, GgufFile model) => Directory.Exists(path) ? FromPeft(path, model) : FromGguf(path, model);

    private static AdapterWeights FromPeft(string path, GgufFile model)
    {
        using var adapter = PeftAdapter.Open(path);
        adapter.CheckFits(AdapterBase.Of(model));
        var weights = adapter.Weights;
        LoraWeights Module(string name, PeftPair pair) =>
            new(name, (int)pair.A.Shape[0], (int)pair.A.Shape[1], (int)pair.B.Shape[0], weights.ReadFloats(pair.A), weights.ReadFloats(pair.B));
        return new AdapterWeights(adapter.Config, [.. adapter.Pairs.Select(p => Module(p.Key, p.Value))])
        {
            Magnitudes = adapter.Pairs.Where(p => p.Value.Magnitude is not null).ToDictionary(p => p.Key, p => weights.ReadFloats(p.Value.Magnitude!)),
        };
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
            Targets = [.. modules.Select(m => LastPart(m.Module)).Distinct()],
            BaseName = model.Metadata.TryString("general.name"),
            RankPattern = modules.Where(m => m.Rank != general).ToDictionary(m => m.Module, m => m.Rank),
            // GGUF scales by alpha over each module's own rank, and so does PEFT.
        }, modules);
    }

    private static string LastPart(string module) => module[(module.LastIndexOf('.') + 1)..];
}
