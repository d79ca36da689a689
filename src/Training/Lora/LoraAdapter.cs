using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Export;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Lora;

/// <summary>
/// Low-rank adapters on chosen projections of a model (Hu et al., 2021). A starts Kaiming-uniform as PEFT does it
/// (a = √5: uniform in ±1/√inputs), B at zero, so that the model starts unchanged. Scale is alpha/rank, for rsLoRA alpha/√rank.
/// </summary>
public sealed class LoraAdapter : IDisposable
{
    private readonly List<LoraPair> _pairs = [];

    private LoraAdapter(int rank, double alpha, bool rankStabilised) => (Rank, Alpha, RankStabilised) = (rank, alpha, rankStabilised);

    public int Rank { get; }
    public double Alpha { get; }
    public bool RankStabilised { get; }
    public double Scale => Alpha / (RankStabilised ? Math.Sqrt(Rank) : Rank);

    /// <summary>The last words of the adapted projections, in the order of the model.</summary>
    public IReadOnlyList<string> Targets => [.. _pairs.Select(pair => pair.Module[(pair.Module.LastIndexOf('.') + 1)..]).Distinct()];

    /// <summary>New adapters; the numbers follow from seed and module name.</summary>
    public static LoraAdapter Create(CausalModel model, AdapterSpec spec, long seed)
    {
        var adapter = new LoraAdapter(spec.Rank, spec.Alpha, spec.Type == "rslora");
        foreach (var site in Choose(model, spec.Targets))
        {
            var random = new SeededRandom(SeededRandom.Mix(seed, site.Module));
            var a = new float[spec.Rank * site.Inputs];
            var bound = 1 / Math.Sqrt(site.Inputs);
            foreach (ref var value in a.AsSpan()) value = (float)((2 * random.Uniform() - 1) * bound);
            adapter.Attach(site, new LoraWeights(site.Module, spec.Rank, site.Inputs, site.Outputs, a, new float[site.Outputs * spec.Rank]), adapter.Scale, trains: true);
        }
        return adapter;
    }

    /// <summary>A PEFT folder or a GGUF adapter, to use or (<paramref name="trains"/>) to go on training.</summary>
    /// <param name="modelPath">The GGUF file of the base, which the adapter is checked against.</param>
    public static LoraAdapter Load(CausalModel model, string modelPath, string path, bool trains)
    {
        using var file = GgufFile.Open(modelPath);
        var weights = AdapterWeights.Load(path, file);
        var config = weights.Config;
        if (config.Dora) throw new RefusedException("adapter-unsupported", "a DoRA adapter", "merge it into its base first");
        if (trains && (config.RankPattern.Count > 0 || config.AlphaPattern.Count > 0))
            throw new RefusedException("adapter-unsupported", "an adapter with ranks or alphas of its own for some modules cannot be trained further", "start from an adapter with one rank");
        var adapter = new LoraAdapter(config.Rank, config.Alpha, config.RankStabilised);
        var sites = model.AdapterSites().ToDictionary(site => site.Module);
        foreach (var pair in weights.Modules)
        {
            if (!sites.TryGetValue(pair.Module, out var site) || pair.Inputs != site.Inputs || pair.Outputs != site.Outputs)
                throw new RefusedException("adapter-base-mismatch", $"{pair.Module} ({pair.Outputs} × {pair.Inputs}) of the adapter is not in this model", "choose the base that the adapter was made for");
            adapter.Attach(site, pair, config.ScaleOf(pair.Module), trains);
        }
        return adapter;
    }

    public IEnumerable<Parameter> Parameters() => _pairs.SelectMany(pair => new[]
    {
        new Parameter($"{pair.Module}.lora_A.weight", pair.A, Decays: true),
        new Parameter($"{pair.Module}.lora_B.weight", pair.B, Decays: true),
    });

    /// <summary>The current numbers, for export.</summary>
    public IEnumerable<LoraWeights> Weights() =>
        _pairs.Select(pair => new LoraWeights(pair.Module, (int)pair.A.Shape[0], (int)pair.A.Shape[1], (int)pair.B.Shape[0], pair.A.ToFloats(), pair.B.ToFloats()));

    public void Dispose()
    {
        foreach (var pair in _pairs)
        {
            pair.A.Dispose();
            pair.B.Dispose();
        }
    }

    private void Attach(AdapterSite site, LoraWeights weights, double scale, bool trains)
    {
        var pair = TensorScope.Detached(() => new LoraPair(site.Module, Tensor.From(weights.A, weights.Rank, site.Inputs), Tensor.From(weights.B, site.Outputs, weights.Rank), (float)scale));
        if (trains)
        {
            pair.A.RequireGradient();
            pair.B.RequireGradient();
        }
        site.Attach(pair);
        _pairs.Add(pair);
    }

    private static List<AdapterSite> Choose(CausalModel model, JsonNode? targets)
    {
        var sites = model.AdapterSites().ToList();
        if (targets is null || targets is JsonValue value && value.TryGetValue<string>(out var text) && text == "all-linear") return sites;
        var names = targets is JsonArray array && array.All(item => item?.GetValueKind() == JsonValueKind.String)
            ? array.Select(item => item!.GetValue<string>()).ToList()
            : throw new RefusedException("bad-spec", "adapter.targets is \"all-linear\" or a list of projection names", "correct the field");
        var known = Projection.Targets(model.Config);
        if (names.Find(name => !known.Contains(name)) is { } unknown)
            throw new RefusedException("bad-spec", $"adapter.targets: '{unknown}' is no projection of a {model.Config.Family.Architecture} model", $"choose from {string.Join(", ", known)}");
        return sites.FindAll(site => names.Contains(site.Target));
    }
}
