using System.Numerics.Tensors;
using TokenMill.Training.Data;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>
/// One optimizer step over an accumulated batch. The loss is the sum of the objective's terms over all micro-batches, divided by
/// their number, so that how the examples are divided among micro-batches changes nothing but rounding.
/// </summary>
public sealed class TrainingStep(CausalModel model, AdamW optimizer, double clip, Regularization regularization)
{
    public sealed record Outcome(double Loss, double GradientNorm, int Tokens, ObjectiveSums Sums);

    /// <summary>Computes loss and gradients of a step; the parameters stay as they are until <see cref="Apply"/>.</summary>
    /// <param name="seed">Decides what the regularization draws.</param>
    /// <exception cref="OperationCanceledException">Between micro-batches; gradients are cleared, nothing has changed.</exception>
    public Outcome Compute(IReadOnlyList<PackedBatch> microBatches, IObjective objective, ulong seed, CancellationToken cancellationToken)
    {
        var terms = microBatches.Sum(objective.Terms);
        var sums = new ObjectiveSums();
        for (var i = 0; i < microBatches.Count; i++)
        {
            if (cancellationToken.IsCancellationRequested)
            {
                optimizer.ClearGradients();
                cancellationToken.ThrowIfCancellationRequested();
            }
            if (microBatches[i].SupervisedTokens == 0) continue;
            using var scope = new TensorScope();
            var losses = model.Losses(microBatches[i], regularization with { Seed = SeededRandom.Mix(seed, (ulong)i) });
            var slopes = objective.Add(microBatches[i], losses, sums);
            TensorPrimitives.Divide(slopes, terms, slopes);
            losses.Losses.Backward(slopes);
        }
        return new Outcome(sums.Loss / terms, optimizer.GradientNorm(), microBatches.Sum(batch => batch.Tokens), sums);
    }

    /// <summary>Clips by the norm of all gradients and updates the parameters.</summary>
    public void Apply(Outcome outcome, double learningRate)
    {
        optimizer.Step(learningRate, clip > 0 ? Math.Min(1, clip / (outcome.GradientNorm + 1e-6)) : 1);
        model.Repack();
    }
}
