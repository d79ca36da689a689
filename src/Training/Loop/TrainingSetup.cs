using TokenMill.Shared.Jobs;
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
        Optimizer = new AdamW(adapter?.Parameters() ?? model.Parameters(), spec.Optimizer);
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
        var trainsAdapter = spec.Adapter.Type != "none" && !source.IsRandom;
        var model = source.Build(config, trainsAdapter ? ModelUse.Adapters(type) : ModelUse.AllWeights(type), cancellationToken);
        var adapter = !trainsAdapter ? null : spec.Adapter.Init is { } init ? LoraAdapter.Load(model, source.TokenizerPath, init, trains: true) : LoraAdapter.Create(model, spec.Adapter, spec.Seed);
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
