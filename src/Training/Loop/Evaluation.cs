using TokenMill.Shared.ChatTemplates;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>Loss and token accuracy on examples that are not learned from: sums over all supervised tokens.</summary>
public static class Evaluation
{
    public sealed record Outcome(double Loss, double TokenAccuracy);

    public static Outcome Run(CausalModel model, IReadOnlyList<EncodedExample> examples, int maxLength, CancellationToken cancellationToken)
    {
        var (loss, correct, tokens) = (0.0, 0L, 0L);
        using var mode = TorchRuntime.WithoutGradient();
        foreach (var batch in Passes.Of(examples, examples.Count, maxLength, packing: true))
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
