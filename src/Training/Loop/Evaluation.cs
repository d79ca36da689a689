using TokenMill.Training.Data;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>Loss and token accuracy on examples that are not learned from: sums over all supervised tokens.</summary>
public static class Evaluation
{
    public sealed record Outcome(double Loss, double TokenAccuracy);

    public static Outcome Run(CausalModel model, TrainingData data, int maxLength, CancellationToken cancellationToken)
    {
        const int examplesAtOnce = 64;
        var (loss, correct, tokens) = (0.0, 0L, 0L);
        using var mode = TorchRuntime.WithoutGradient();
        for (var first = 0; first < data.ValidationCount; first += examplesAtOnce)
            foreach (var batch in Passes.Of(data.Validation(first, examplesAtOnce), examplesAtOnce, maxLength, packing: true))
            {
                cancellationToken.ThrowIfCancellationRequested();
                using var scope = new TensorScope();
                var outcome = model.Loss(batch, 1);
                loss += outcome.TokenLosses.Sum();
                correct += outcome.Correct;
                tokens += batch.SupervisedTokens;
            }
        return new Outcome(loss / tokens, (double)correct / tokens);
    }
}
