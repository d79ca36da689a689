using TokenMill.Shared.Domain;
using TokenMill.Training.Data;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>
/// A step whose loss or gradient is no number. Its rows are measured one by one: either some of them spoil it, or all are well by
/// themselves and the training has run away.
/// </summary>
internal sealed class PoisonedStep(CausalModel model, TrainingData data, int step)
{
    private const int MostNamed = 8;

    public RefusedException Explain(TrainingStep.Outcome outcome)
    {
        var (epoch, batch) = Math.DivRem(step, data.StepsPerEpoch);
        var examples = data.Order(step).ToArray();
        var spoiling = examples.Where(example => !IsFinite(example)).ToList();
        var rows = spoiling.Count > 0 ? $"{Names(spoiling)} alone {(spoiling.Count == 1 ? "makes" : "make")} it so" : $"no row does so alone, of {Names(examples)}";
        return new RefusedException("not-finite",
            $"step {step + 1} (batch {batch + 1} of epoch {epoch + 1}): the loss is {outcome.Loss}, the gradient norm {outcome.GradientNorm}; {rows}",
            spoiling.Count > 0 ? "look at these rows and remove them, or choose another model; the checkpoint before is kept" : "lower optimizer.learning_rate, then start again or from the checkpoint before, which is kept");
    }

    private bool IsFinite(int example)
    {
        using var mode = TorchRuntime.WithoutGradient();
        foreach (var answer in data.Training(example, 1))
        {
            using var scope = new TensorScope();
            if (model.Losses(Packing.Pack([answer], answer.Ids.Length, packing: false)).Values.Any(loss => !double.IsFinite(loss))) return false;
        }
        return true;
    }

    private string Names(IReadOnlyCollection<int> examples) =>
        string.Join(", ", examples.Take(MostNamed).Select(data.NameOf)) + (examples.Count > MostNamed ? $" and {examples.Count - MostNamed} more" : "");
}
