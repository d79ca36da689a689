using System.Diagnostics;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Checkpoints;
using TokenMill.Training.Data;
using TokenMill.Training.Loop;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Forecast;

/// <summary>
/// Real training steps on the first layers of a model, in a process of its own so that their memory can be seen. Two probes of different depth
/// tell what a layer costs and what the rest does; see <see cref="CostModel"/>.
/// </summary>
internal static class Probe
{
    private const int Rounds = 5;
    private const double BudgetSeconds = 5, FloatingOperationsPerPass = 0.4e12;
    private const int FewestTokens = 256;
    private const int ShortSegment = 64, MiddleSegment = 256;
    private const int OtherShapes = 8, FewestOtherTokens = 48;
    private const long SavedBytes = 64 << 20;

    public static ProbeResult Measure(FineTuneSpec spec, int layers, CancellationToken cancellationToken)
    {
        TorchRuntime.UseThreads(spec.Threads ?? Environment.ProcessorCount);
        var source = new ModelSource(spec.Model);
        using var text = new ModelText(source);
        var config = source.Config() with { Layers = layers };
        TorchRuntime.PeakTensorBytes(restart: true);
        var started = Stopwatch.GetTimestamp();
        using var setup = TrainingSetup.Build(spec, source, config, cancellationToken);
        var (loadSeconds, loadPeak, weights) = (Stopwatch.GetElapsedTime(started).TotalSeconds, TorchRuntime.PeakTensorBytes(restart: true), TorchRuntime.PeakTensorBytes());

        var batches = Batches(config).ToList();
        Step(setup, batches[0], cancellationToken);                     // gradients and moments come to be; kernels are chosen
        var (seconds, peaks, updates) = (batches.Select(_ => new List<double>()).ToList(), new long[batches.Count], new List<double>());
        var begun = Stopwatch.GetTimestamp();
        for (var round = 0; round < Rounds && (round == 0 || Stopwatch.GetElapsedTime(begun).TotalSeconds < BudgetSeconds); round++)
            for (var i = 0; i < batches.Count; i++)
            {
                TorchRuntime.PeakTensorBytes(restart: true);
                var (pass, update) = Step(setup, batches[i], cancellationToken);
                seconds[i].Add(pass);
                updates.Add(update);
                peaks[i] = Math.Max(peaks[i], TorchRuntime.PeakTensorBytes());
            }
        var (pool, peak) = (ProcessMemory.PoolBytes(), Math.Max(peaks.Max(), loadPeak));
        var holes = Math.Clamp((double)(pool - peak) / (peak - weights), 0, 1);
        // Each number of tokens has products of its own, of which as many are kept as a few shapes have.
        for (var i = 0; i < OtherShapes; i++)
        {
            setup.Step.Compute([Batch(config, FewestOtherTokens + i, FewestOtherTokens + i, 0.5)], new SupervisedObjective(), 0, cancellationToken);
            setup.Optimizer.ClearGradients();
        }
        var outside = ProcessMemory.ResidentBytes() - ProcessMemory.PoolBytes();
        var middle = batches.Count / 2;
        var validation = Forward(setup.Model, batches[middle]);
        return new ProbeResult(config.Layers, setup.Optimizer.ParameterCount, setup.Optimizer.StateBytes, loadSeconds, outside, holes, loadPeak, weights, SaveSecondsPerByte(setup.Optimizer), Median(updates), Math.Min(1, validation / Median(seconds[middle])),
            [.. batches.Select((batch, i) => new ProbedPass(PassShape.Of(batch), peaks[i], seconds[i]))]);
    }

    public static double Median(IEnumerable<double> values) => values.Order().ToList() is var sorted ? sorted[sorted.Count / 2] : 0;

    private static (double Pass, double Update) Step(TrainingSetup setup, PackedBatch batch, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var outcome = setup.Step.Compute([batch], new SupervisedObjective(), 0, cancellationToken);
        var computed = Stopwatch.GetTimestamp();
        setup.Step.Apply(outcome, 0);                                   // a rate of 0: the weights stay what they are
        return (Stopwatch.GetElapsedTime(started, computed).TotalSeconds, Stopwatch.GetElapsedTime(computed).TotalSeconds);
    }

    private static double Forward(CausalModel model, PackedBatch batch)
    {
        var started = Stopwatch.GetTimestamp();
        using var mode = TorchRuntime.WithoutGradient();
        using var scope = new TensorScope();
        model.Losses(batch);
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>A part of the state, written as a checkpoint is.</summary>
    private static double SaveSecondsPerByte(AdamW optimizer)
    {
        var folder = Directory.CreateTempSubdirectory("tokenmill-probe-");
        try
        {
            var (part, bytes) = (new List<(string, Tensor)>(), 0L);
            foreach (var (name, value) in optimizer.State())
            {
                if (bytes >= SavedBytes) break;
                part.Add((name, value));
                bytes += value.Count * value.Type.SizeBytes();
            }
            var store = new CheckpointStore(folder.FullName, keep: 1);
            var started = Stopwatch.GetTimestamp();
            store.Write(store.Take(new Checkpoint(CheckpointStore.Version, 0, 0, 0, 0, 0, 0, ""), part));
            return Stopwatch.GetElapsedTime(started).TotalSeconds / bytes;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Passes that differ in tokens, lengths of segments and supervised share, smallest first; a large model gets shorter ones.</summary>
    private static IEnumerable<PackedBatch> Batches(ModelConfig config)
    {
        var tokens = Math.Clamp((int)(FloatingOperationsPerPass / (6.0 * config.Parameters)), FewestTokens, Passes.TokensAtOnce);
        return new[] { (tokens / 8, ShortSegment, 1.0), (tokens / 2, MiddleSegment, 0.25), (tokens, MiddleSegment, 0.75), (tokens, tokens, 0.25) }.Select(shape => Batch(config, shape.Item1, shape.Item2, shape.Item3));
    }

    /// <param name="supervised">Share of each segment, at its end.</param>
    private static PackedBatch Batch(ModelConfig config, int tokens, int segment, double supervised)
    {
        var (ids, length) = (new Random(1), Math.Min(segment, Math.Min(config.ContextLength, tokens)));
        var examples = Enumerable.Range(0, Math.Max(1, tokens / length)).Select(_ =>
        {
            int[] sequence = [.. Enumerable.Range(0, length).Select(_ => ids.Next(config.VocabularySize))];
            var learned = (int)(length * supervised);
            return new EncodedExample(sequence, [.. sequence.Select((id, t) => t >= length - learned ? id : EncodedExample.Unsupervised)]);
        }).ToList();
        return Packing.Pack(examples, length, packing: true);
    }
}
