using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.HuggingFace;
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

    private LoraAdapter(PeftConfig config) => Config = config;

    public PeftConfig Config { get; private init; }

    /// <summary>What PEFT would call the adapter of a specification; its targets are not chosen yet.</summary>
    public static PeftConfig ConfigOf(AdapterSpec spec) => new()
    {
        Rank = spec.Rank, Alpha = spec.Alpha, Dropout = spec.Dropout, RankStabilised = spec.Type == "rslora", Dora = spec.Type == "dora",
        RankPattern = spec.RankPattern, AlphaPattern = spec.AlphaPattern, ModulesToSave = spec.ModulesToSave,
    };

    /// <summary>New adapters; the numbers follow from seed and module name.</summary>
    public static LoraAdapter Create(CausalModel model, AdapterSpec spec, long seed)
    {
        var (sites, chosen) = (model.AdapterSites().ToList(), Choose(model, spec.Targets));
        var adapter = new LoraAdapter(ConfigOf(spec) with { Targets = ModulePattern.Cover(chosen.Select(site => site.Module), sites.Select(site => site.Module)) });
        foreach (var (name, pattern) in spec.RankPattern.Keys.Select(key => ("rank_pattern", key)).Concat(spec.AlphaPattern.Keys.Select(key => ("alpha_pattern", key))))
            if (!chosen.Exists(site => ModulePattern.Matches(pattern, site.Module)))
                throw new RefusedException("bad-spec", $"adapter.{name}: '{pattern}' is none of the adapted modules", $"name one of {string.Join(", ", adapter.Config.Targets)}, or a pattern such as layers\\.0\\..*");
        foreach (var site in chosen)
        {
            var (random, rank) = (new SeededRandom(SeededRandom.Mix(seed, site.Module)), adapter.Config.RankOf(site.Module));
            var a = new float[rank * site.Inputs];
            var bound = 1 / Math.Sqrt(site.Inputs);
            foreach (ref var value in a.AsSpan()) value = (float)((2 * random.Uniform() - 1) * bound);
            adapter.Attach(site, new LoraWeights(site.Module, rank, site.Inputs, site.Outputs, a, new float[site.Outputs * rank]) { Magnitude = spec.Type == "dora" ? site.RowLengths : null }, trains: true);
        }
        return adapter;
    }

    /// <summary>An adapter that exists, to use or (<paramref name="trains"/>) to go on training. What it says of layers that the model was built without is left out.</summary>
    public static LoraAdapter Attach(CausalModel model, AdapterWeights weights, bool trains)
    {
        var adapter = new LoraAdapter(weights.Config);
        var sites = model.AdapterSites().ToDictionary(site => site.Module);
        foreach (var pair in weights.Modules)
        {
            if (!model.Config.HasModule(pair.Module)) continue;
            if (!sites.TryGetValue(pair.Module, out var site) || pair.Inputs != site.Inputs || pair.Outputs != site.Outputs)
                throw new RefusedException("adapter-base-mismatch", $"{pair.Module} ({pair.Outputs} × {pair.Inputs}) of the adapter is not in this model", "choose the base that the adapter was made for");
            adapter.Attach(site, pair, trains);
        }
        return adapter;
    }

    public IEnumerable<Parameter> Parameters()
    {
        foreach (var pair in _pairs)
        {
            yield return new Parameter($"{pair.Module}.lora_A.weight", pair.A, Decays: true);
            yield return new Parameter($"{pair.Module}.lora_B.weight", pair.B, Decays: true);
            if (pair.Magnitude is { } magnitude) yield return new Parameter($"{pair.Module}.lora_magnitude_vector.weight", magnitude.Rows, Decays: true);
        }
    }

    /// <summary>The current numbers, for export.</summary>
    public IEnumerable<LoraWeights> Weights() => _pairs.Select(pair =>
        new LoraWeights(pair.Module, (int)pair.A.Shape[0], (int)pair.A.Shape[1], (int)pair.B.Shape[0], pair.A.ToFloats(), pair.B.ToFloats()) { Magnitude = pair.Magnitude?.Rows.ToFloats() });

    public void Dispose()
    {
        foreach (var pair in _pairs) pair.Dispose();
    }

    private void Attach(AdapterSite site, LoraWeights weights, bool trains)
    {
        var pair = TensorScope.Detached(() => new LoraPair(site.Module, Tensor.From(weights.A, weights.Rank, site.Inputs), Tensor.From(weights.B, site.Outputs, weights.Rank), (float)Config.ScaleOf(site.Module))
        {
            Magnitude = weights.Magnitude is { } rows ? new Magnitude(Tensor.From(rows, site.Outputs), Tensor.Zeros(TensorType.Float32, site.Outputs)) : null,
        });
        if (trains)
        {
            pair.A.RequireGradient();
            pair.B.RequireGradient();
            pair.Magnitude?.Rows.RequireGradient();
        }
        _pairs.Add(pair);
        site.Attach(pair);
    }

    public static bool IsAllLinear(JsonNode? targets) => targets is null || targets is JsonValue value && value.TryGetValue<string>(out var text) && text == "all-linear";

    private static List<AdapterSite> Choose(CausalModel model, JsonNode? targets)
    {
        var sites = model.AdapterSites().ToList();
        if (IsAllLinear(targets)) return sites;
        var chosen = new HashSet<AdapterSite>();
        foreach (var pattern in Patterns(targets!))
        {
            var matching = sites.FindAll(site => ModulePattern.Matches(pattern, site.Module));
            if (matching.Count == 0)
                throw new RefusedException("bad-spec", $"adapter.targets: '{pattern}' is no projection of this {model.Config.Family.Architecture} model", $"choose from {string.Join(", ", sites.Select(site => site.Target).Distinct())}, whole names such as {sites[0].Module}, or a pattern for them");
            chosen.UnionWith(matching);
        }
        return sites.FindAll(chosen.Contains);
    }

    /// <summary>The patterns of adapter.targets: a list, or one alone.</summary>
    public static IReadOnlyList<string> Patterns(JsonNode targets) => targets switch
    {
        JsonValue value when value.TryGetValue<string>(out var pattern) && ModulePattern.IsValid(pattern) => [pattern],
        JsonArray { Count: > 0 } array when array.All(item => item?.GetValueKind() == JsonValueKind.String && ModulePattern.IsValid(item.GetValue<string>())) => [.. array.Select(item => item!.GetValue<string>())],
        _ => throw new RefusedException("bad-spec", $"adapter.targets: {targets.ToJsonString()} is neither \"all-linear\" nor a list of projections or patterns", "name projections such as q_proj, or give a regular expression for whole names"),
    };
}
