using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Data;
using TokenMill.Training.Loop;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Forecast;

/// <summary>
/// Tells what a run will cost before it starts: 1. its data, or a sample of them, are encoded and divided into passes as the run would do it;
/// 2. a few real steps on the model's first layers are timed and weighed, once for each machine and shape (<see cref="ProbeCache"/>);
/// 3. both together give time and memory.
/// </summary>
internal sealed class Planning(ProbeCache probes, TimeProvider time)
{
    private const int GradientBytesPerParameter = 4;

    /// <summary>Share of the available memory that a run may take.</summary>
    private const double UsableMemory = 0.95;

    /// <param name="spec">Checked before by <see cref="SpecCheck"/>.</param>
    public async Task<FineTunePlan> PlanAsync(FineTuneSpec spec, CancellationToken cancellationToken)
    {
        var source = new ModelSource(spec.Model, cancellationToken);
        var config = source.Config();
        var begun = time.GetTimestamp();
        var workload = Workload.Of(spec, source, config, cancellationToken);
        var dataSeconds = time.GetElapsedTime(begun).TotalSeconds;
        var trial = TypicalLayer.Of(spec, config);
        var measured = probes.Find(trial.Spec, config) ?? await probes.MeasureAsync(trial.Spec, config, cancellationToken);
        var cost = new CostModel(measured.Shallow, measured.Deep, config.Layers, trial.MissingParameters);
        return Plan(spec, config, workload, cost, dataSeconds, ProcessMemory.AvailableBytes());
    }

    /// <summary>For a run that has read its data; null where this machine has not been probed for such a run.</summary>
    public static FineTunePlan? TryPlan(ProbeCache probes, FineTuneSpec spec, ModelConfig config, TrainingData data, int maxLength, double dataSeconds)
    {
        var trial = TypicalLayer.Of(spec, config);
        if (probes.Find(trial.Spec, config) is not { } measured) return null;
        var cost = new CostModel(measured.Shallow, measured.Deep, config.Layers, trial.MissingParameters);
        return Plan(spec, config, Workload.Of(spec, data, maxLength), cost, dataSeconds, ProcessMemory.AvailableBytes());
    }

    internal static FineTunePlan Plan(FineTuneSpec spec, ModelConfig config, Workload workload, CostModel cost, double dataSeconds, long available)
    {
        var memory = Memory(workload, cost);
        var peak = memory.Values.Sum();
        var usable = (long)(available * UsableMemory);
        return new FineTunePlan(
            cost.TrainableParameters, config.Parameters, peak, memory, workload.TokensPerEpoch, workload.RowsPerEpoch, workload.PackedRowsPerEpoch, workload.Steps,
            Seconds(spec, workload, cost, dataSeconds), cost.StateBytes, available, peak <= usable, workload.Sampled,
            peak <= usable ? [] : [.. new PlanAdvisor(spec, config, workload, cost).For(usable)]);
    }

    internal static IReadOnlyDictionary<string, long> Memory(Workload workload, CostModel cost)
    {
        var largest = workload.StepPasses.SelectMany(step => step).MaxBy(cost.PassBytes)!;
        var pool = Math.Max(cost.PassBytes(largest) - cost.ActivationBytes(largest) + GrowingBytes(cost, largest), cost.LoadPeakBytes);
        var whole = cost.OutsideBytes + pool;
        var parts = new SortedDictionary<string, long>(StringComparer.Ordinal)
        {
            ["runtime"] = cost.RuntimeBytes,
            ["weights"] = cost.WeightBytes - cost.StateBytes,
            ["adapter_and_optimizer"] = cost.StateBytes + cost.TrainableParameters * GradientBytesPerParameter,
            ["activations"] = cost.ActivationBytes(largest),
        };
        parts["head_and_buffers"] = Math.Max(0, whole - parts.Values.Sum());
        parts["checkpoint_copy"] = cost.StateBytes;
        return parts;
    }

    /// <summary>What grows with the tokens of a pass.</summary>
    internal static long GrowingBytes(CostModel cost, PassShape pass) => (long)(cost.ActivationBytes(pass) * (1 + cost.HolesShare));

    internal static PlannedSeconds Seconds(FineTuneSpec spec, Workload workload, CostModel cost, double dataSeconds)
    {
        var passes = workload.StepPasses.Average(step => step.Sum(cost.PassSeconds)) * workload.Steps;
        var perToken = workload.StepPasses.Sum(step => step.Sum(cost.PassSeconds)) / workload.StepPasses.Sum(step => step.Sum(pass => (double)pass.Tokens));
        var forward = (workload.Evaluations * workload.ValidationTokens + workload.ReferenceTokens) * perToken * cost.ValidationShare;
        var still = dataSeconds + cost.LoadSeconds + cost.UpdateSeconds * workload.Steps;
        var work = passes + forward;
        still += Saves(spec, workload.Steps, work) * cost.SaveSeconds;      // written beside the training, whose cores it takes
        return new PlannedSeconds(still + work * 0.95, still + work * cost.Slowdown, (still + work * Math.Max(cost.SlowdownAtWorst, 1.1 * cost.Slowdown)) * 1.1);
    }

    /// <summary>Checkpoints of a run, the last one included.</summary>
    private static double Saves(FineTuneSpec spec, int steps, double seconds) => Math.Max(1, spec.Checkpoint switch
    {
        { EverySteps: { } every, EverySeconds: null } => Math.Ceiling((double)steps / every),
        { EverySteps: { } every, EverySeconds: { } interval } => Math.Max(Math.Ceiling((double)steps / every), 1 + Math.Floor(seconds / interval)),
        var checkpoint => 1 + Math.Floor(seconds / (checkpoint.EverySeconds ?? TrainingRun.DefaultCheckpointSeconds)),
    });
}
