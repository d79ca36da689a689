using System.Globalization;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Models;

namespace TokenMill.Training.Forecast;

/// <summary>Looks for changes of one field that bring a run's memory below a limit, the least painful first.</summary>
internal sealed class PlanAdvisor(FineTuneSpec spec, ModelConfig config, Workload workload, CostModel cost)
{
    private const int ShortestLength = 128;

    public IEnumerable<PlanAdvice> For(long limit)
    {
        var peak = Planning.Memory(workload, cost).Values.Sum();
        var missing = peak - limit;
        var activations = Planning.GrowingBytes(cost, Largest);
        if (!spec.Packing && missing <= activations) yield return new("packing", "false", "true", "packed passes hold a bounded number of tokens, so that memory does not grow with batch_size");
        if (!spec.Packing && Smaller(spec.BatchSize, 1, limit) is { } batch)
            yield return new("batch_size", Text(spec.BatchSize), Text(batch), $"fewer examples at once; raise accumulation to {Text(spec.Accumulation * (int)Math.Ceiling((double)spec.BatchSize / batch))} to keep the step's size");
        var length = Math.Min(spec.MaxLength ?? 2048, config.ContextLength);
        if (Smaller(length, ShortestLength, limit) is { } shorter) yield return new("max_length", Text(length), Text(shorter), "shorter sequences need less memory for activations; longer ones are cut or split");

        // The rest is judged by what it takes away: 12 bytes of state and gradient (and 4 of the master) for each weight that is no longer trained.
        if (spec.Adapter.Type == "none" && missing <= cost.TrainableParameters * 16L)
            yield return new("adapter.type", "\"none\"", "\"lora\"", "an adapter trains about one weight in a hundred, so that gradients and the optimizer's state nearly vanish");
        if (spec.Adapter.Type is "lora" or "rslora" or "dora" && missing <= cost.WeightBytes / 2)
            yield return new("adapter.type", $"\"{spec.Adapter.Type}\"", "\"qlora\"", "the frozen weights stay as small as they are in the file");
    }

    private PassShape Largest => workload.StepPasses.SelectMany(step => step).MaxBy(cost.PassBytes)!;

    /// <summary>The value halved until the largest pass, shrunk in proportion, fits; null where it never does or already did.</summary>
    private int? Smaller(int value, int least, long limit)
    {
        var rest = Planning.Memory(workload, cost).Values.Sum() - Planning.GrowingBytes(cost, Largest);
        for (var candidate = value / 2; candidate >= least; candidate /= 2)
        {
            var share = (double)candidate / value;
            if (rest + (long)(Planning.GrowingBytes(cost, Largest) * share) <= limit) return candidate;
        }
        return null;
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}
