using TokenMill.Shared.Jobs;
using TokenMill.Training.Checkpoints;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>
/// The parameters with the lowest validation loss so far, kept in a folder of their own, and whether the run should end because
/// the loss has not fallen for long. What it knows goes with each checkpoint, so that a resumed run decides the same.
/// </summary>
internal sealed class BestWeights : IDisposable
{
    private readonly EarlyStoppingSpec? _stopping;
    private readonly CheckpointStore? _store;              // null where the last weights are the result
    private readonly CheckpointWriter? _writer;

    public BestWeights(FineTuneSpec spec, string folder)
    {
        _stopping = spec.EarlyStopping;
        if (!spec.KeepBest && _stopping is null) return;
        _store = new CheckpointStore(folder, keep: 1);
        _writer = new CheckpointWriter(_store, (_, _) => { });
    }

    public ValidationProgress Progress { get; private set; } = ValidationProgress.None;

    public bool ShouldStop => _stopping is { } stopping && Progress.WithoutImprovement >= stopping.Patience;

    public void Resume(ValidationProgress? progress) => Progress = progress ?? Progress;

    /// <summary>Takes note of an evaluation; keeps the parameters if none was better.</summary>
    public void Observe(int step, double loss, Func<IEnumerable<(string Name, Tensor Value)>> parameters)
    {
        var improved = loss < Progress.BestLoss - (_stopping?.MinDelta ?? 0);
        Progress = improved ? new ValidationProgress(loss, step, 0, step) : Progress with { WithoutImprovement = Progress.WithoutImprovement + 1, EvaluatedStep = step };
        if (!improved || _store is null) return;
        _writer!.Finish();
        _writer.Write(_store.Take(new Checkpoint(CheckpointStore.Version, step, 0, 0, loss, 0, 0, ""), parameters()));
    }

    /// <summary>Brings the best parameters back; false where the last ones are the result.</summary>
    public bool Restore(IEnumerable<(string Name, Tensor Value)> parameters, Action<string> damaged)
    {
        _writer?.Finish();
        return _store?.Restore([.. parameters], damaged) is not null;
    }

    public void Dispose() => _writer?.Dispose();
}
