using TokenMill.Training.Data;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>
/// One optimizer step over an accumulated batch. The loss is Σ token losses / Σ supervised tokens over all of its
/// micro-batches, so that how the examples are divided among them changes nothing but rounding.
/// </summary>
public sealed class TrainingStep(CausalModel model, AdamW optimizer, double clip, double dropout)
{
    public sealed record Outcome(double Loss, double GradientNorm, int Tokens, int SupervisedTokens);

    /// <summary>Computes loss and gradients of a step; the parameters stay as they are until <see cref="Apply"/>.</summary>
    /// <param name="seed">Decides what dropout drops.</param>
    /// <exception cref="OperationCanceledException">Between micro-batches; gradients are cleared, nothing has changed.</exception>
    public Outcome Compute(IReadOnlyList<PackedBatch> microBatches, ulong seed, CancellationToken cancellationToken)
    {
        var supervised = microBatches.Sum(batch => batch.SupervisedTokens);
        var loss = 0.0;
        for (var i = 0; i < microBatches.Count; i++)
        {
            if (cancellationToken.IsCancellationRequested)
            {
                optimizer.ClearGradients();
                cancellationToken.ThrowIfCancellationRequested();
            }
            if (microBatches[i].SupervisedTokens == 0) continue;
            using var scope = new TensorScope();
            var batch = model.Loss(microBatches[i], supervised, dropout, SeededRandom.Mix(seed, (ulong)i));
            batch.Scaled.Backward();
            loss += batch.TokenLosses.Sum();
        }
        return new Outcome(loss / supervised, optimizer.GradientNorm(), microBatches.Sum(batch => batch.Tokens), supervised);
    }

    /// <summary>Clips by the norm of all gradients and updates the parameters.</summary>
    public void Apply(Outcome outcome, double learningRate)
    {
        optimizer.Step(learningRate, clip > 0 ? Math.Min(1, clip / (outcome.GradientNorm + 1e-6)) : 1);
        model.Repack();
    }
}
