using TokenMill.Training.Data;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>An objective's sums over examples that are not learned from.</summary>
public static class Evaluation
{
    private const int ExamplesAtOnce = 64;

    /// <param name="objective">Of so many validation examples from a first one on.</param>
    public static ObjectiveSums Run(CausalModel model, TrainingData data, Func<int, int, IObjective> objective, int maxLength, CancellationToken cancellationToken)
    {
        var sums = new ObjectiveSums();
        using var mode = TorchRuntime.WithoutGradient();
        for (var first = 0; first < data.ValidationCount; first += ExamplesAtOnce)
        {
            var count = Math.Min(ExamplesAtOnce, data.ValidationCount - first);
            var terms = objective(first, count);
            foreach (var batch in Passes.Of(data.Validation(first, count), count, maxLength, packing: true, data.AnswersPerExample))
            {
                cancellationToken.ThrowIfCancellationRequested();
                using var scope = new TensorScope();
                terms.Add(batch, model.Losses(batch), sums);
            }
        }
        return sums;
    }
}
