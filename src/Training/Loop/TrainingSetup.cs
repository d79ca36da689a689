using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Export;
using TokenMill.Training.Lora;
using TokenMill.Training.Models;

namespace TokenMill.Training.Loop;

/// <summary>
/// A model made ready to train as a specification asks: its weights, adapters where it has any, the optimizer's state and the step over them.
/// The run and the probe that foretells its cost build the same.
/// </summary>
internal sealed class TrainingSetup : IDisposable
{
    private TrainingSetup(CausalModel model, LoraAdapter? adapter, FineTuneSpec spec)
    {
        (Model, Adapter) = (model, adapter);
        Optimizer = new AdamW((adapter?.Parameters() ?? []).Concat(model.Parameters()), spec.Optimizer);
        Step = new TrainingStep(model, Optimizer, spec.Clip, new Regularization
        {
            Dropout = adapter is null ? 0 : spec.Adapter.Dropout,
            EmbeddingNoise = spec.NeftuneAlpha,
            LabelSmoothing = spec.Method == TrainingMethod.Dpo ? 0 : spec.LabelSmoothing,       // of pairs, the objective's affair
        });
    }

    public CausalModel Model { get; }

    /// <summary>Null where all weights are trained.</summary>
    public LoraAdapter? Adapter { get; }
    public AdamW Optimizer { get; }
    public TrainingStep Step { get; }

    /// <param name="config">The model's own, or that of its first layers.</param>
    /// <exception cref="OperationCanceledException">Between two weights.</exception>
    public static TrainingSetup Build(FineTuneSpec spec, ModelSource source, ModelConfig config, CancellationToken cancellationToken)
    {
        var type = ModelLoading.Resolve(spec.Dtype);
        if (spec.Adapter.Type == "none" || source.IsRandom) return new TrainingSetup(source.Build(config, ModelUse.AllWeights(type) with { RepeatsLayers = spec.ActivationCheckpointing }, [], cancellationToken), null, spec);

        var given = spec.Adapter.Init is { } init ? AdapterWeights.Load(init, source.TokenizerPath) : null;
        var kind = given?.Config ?? LoraAdapter.ConfigOf(spec.Adapter);
        if (!GgufAdapterFile.CanHold(kind, out var why) && spec.Export?.Contains("gguf-lora") == true) throw new RefusedException("bad-spec", $"export: gguf-lora: {why}", "take peft and merged");
        var model = source.Build(config, ModelUse.Adapters(type).For(kind) with { KeepsStored = spec.Adapter.Type == "qlora", RepeatsLayers = spec.ActivationCheckpointing }, given?.Saved ?? [], cancellationToken);
        if (kind.ModulesToSave.FirstOrDefault(pattern => !model.Parameters().Any(p => ModulePattern.Matches(pattern, p.Name[..^".weight".Length]))) is { } unknown)
            throw new RefusedException("bad-spec", $"adapter.modules_to_save: '{unknown}' is no module that this model trains whole", $"choose from {string.Join(", ", model.WholeModules())}");
        var adapter = given is null ? LoraAdapter.Create(model, spec.Adapter, spec.Seed) : LoraAdapter.Attach(model, given, trains: true);
        ProcessMemory.ReturnFreed();                        // the fp32 copies that weights were packed from
        return new TrainingSetup(model, adapter, spec);
    }

    public void Dispose()
    {
        Optimizer.Dispose();
        Adapter?.Dispose();
        Model.Dispose();
    }
}
