using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Lora;
using TokenMill.Training.Models;

namespace TokenMill.Training.Forecast;

/// <summary>
/// A specification for trials of a model's first layers. Where targets or ranks differ from layer to layer, each of its layers carries what the
/// model's layers carry on average.
/// </summary>
/// <param name="MissingParameters">What the whole model's adapters have more than those of as many average layers.</param>
internal sealed record TypicalLayer(FineTuneSpec Spec, long MissingParameters)
{
    public static TypicalLayer Of(FineTuneSpec spec, ModelConfig config)
    {
        var adapter = spec.Adapter;
        var sites = Sites(config);
        bool Adapts(string pattern) => sites.Exists(site => RankAt(adapter, site.Module) > 0 && ModulePattern.Matches(pattern, site.Module));
        if (adapter.Type == "none" || adapter.Init is not null || !adapter.RankPattern.Keys.Concat(adapter.AlphaPattern.Keys).All(Adapts)) return new(spec, 0);    // what is wrong, the trial says

        var projections = sites.GroupBy(site => site.Projection).ToList();
        var uniform = projections.TrueForAll(sites => sites.DistinctBy(site => RankAt(adapter, site.Module)).Count() == 1);
        if (uniform && adapter.RankPattern.Count == 0) return new(spec with { Adapter = adapter with { AlphaPattern = new Dictionary<string, double>() } }, 0);

        var ranks = projections.ToDictionary(sites => sites.Key, sites => sites.Average(site => RankAt(adapter, site.Module))).Where(rank => rank.Value > 0)
            .ToDictionary(rank => rank.Key, rank => Math.Max(1, (int)Math.Round(rank.Value)));
        if (ranks.Count == 0) return new(spec, 0);
        var typical = adapter with { Targets = new JsonArray([.. ranks.Keys.Select(projection => (JsonNode)projection)]), RankPattern = ranks, AlphaPattern = new Dictionary<string, double>() };
        return new(spec with { Adapter = typical }, Parameters(adapter) - Parameters(typical));

        long Parameters(AdapterSpec of) => sites.Sum(site => RankAt(of, site.Module) is > 0 and var rank ? (long)rank * (site.Inputs + site.Outputs) + (of.Type == "dora" ? site.Outputs : 0) : 0);
    }

    private static List<(string Module, string Projection, int Inputs, int Outputs)> Sites(ModelConfig config)
    {
        (IReadOnlyList<Projection> Projections, int Inputs)[] linears =
            [(Projection.QueryKeyValue(config), config.HiddenSize), (Projection.AttentionOutput(config), config.QueryWidth), (Projection.GateUp(config), config.HiddenSize), (Projection.Down(config), config.IntermediateSize)];
        return [.. from layer in Enumerable.Range(0, config.Layers)
                   from linear in linears
                   from projection in linear.Projections
                   select ($"model.layers.{layer}.{projection.Module}", projection.ShortName, linear.Inputs, projection.Outputs)];
    }

    /// <summary>0 where the module has no adapter.</summary>
    private static int RankAt(AdapterSpec adapter, string module) =>
        LoraAdapter.IsAllLinear(adapter.Targets) || LoraAdapter.Patterns(adapter.Targets!).Any(pattern => ModulePattern.Matches(pattern, module)) ? LoraAdapter.ConfigOf(adapter).RankOf(module) : 0;
}
