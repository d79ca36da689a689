using TokenMill.Shared.Jobs;
using TokenMill.Training.Data;
using TokenMill.Training.Loop;
using TokenMill.Training.Models;

namespace TokenMill.Training.Forecast;

/// <summary>How much there is to do: the passes of steps as the run itself would make them, from all of the data or a sample.</summary>
internal sealed record Workload(int StepsPerEpoch, int Steps, long RowsPerEpoch, long TokensPerEpoch, long PackedRowsPerEpoch, long ValidationTokens, int Evaluations, long ReferenceTokens, bool Sampled, IReadOnlyList<IReadOnlyList<PassShape>> StepPasses)
{
    private const int MostSteps = 400;

    /// <summary>From the data of a specification, of which large files are sampled.</summary>
    public static Workload Of(FineTuneSpec spec, ModelSource source, ModelConfig config, CancellationToken cancellationToken)
    {
        var maxLength = Math.Min(spec.MaxLength ?? 2048, config.ContextLength);
        using var text = new ModelText(source);
        using var sample = new DataSample(spec);
        using var data = new TrainingDataLoader(sample.Spec, text.Conversations, text.Whole, config.VocabularySize, maxLength, sample.Folder).Load(cancellationToken);

        // A file for validation is sampled by itself; a fraction of the data is as large a part of the whole.
        var seen = spec.Validation?.Path is not null ? sample.ValidationShare : sample.IsPartial ? Math.Min(1, (double)data.TrainingCount / Math.Max(1, data.ExamplesPerEpoch)) : 1;
        return Of(spec, data, maxLength, seen, sample.IsPartial);
    }

    /// <param name="seen">Share of the validation data (of preferences: of all data) that is at hand.</param>
    public static Workload Of(FineTuneSpec spec, TrainingData data, int maxLength, double seen = 1, bool sampled = false)
    {
        var total = TrainingRun.TotalSteps(spec, data.StepsPerEpoch);
        var run = Simulate(Math.Min(total, data.StepsPerEpoch));              // of an epoch at most: the next ones are alike
        var epoch = total >= data.StepsPerEpoch ? run : Simulate(data.StepsPerEpoch);
        var packedRows = epoch.Sum(step => step.Sum(pass => (long)pass.Rows)) * data.StepsPerEpoch / epoch.Count;

        var validationTokens = (long)(data.ValidationTokens / seen);
        var evaluations = validationTokens == 0 ? 0 : 2 + (spec.EvaluateEvery is { } every ? (total - 1) / every : 0);
        // Preferences are first measured with the model as it is, once each as far as the steps go.
        var reference = spec.Method == TrainingMethod.Dpo ? Math.Min((long)(data.Tokens / seen), data.TokensPerEpoch * total / data.StepsPerEpoch) + validationTokens : 0;
        return new Workload(data.StepsPerEpoch, total, data.ExamplesPerEpoch, data.TokensPerEpoch, packedRows, validationTokens, evaluations, reference, sampled,
            [.. run.Select(step => (IReadOnlyList<PassShape>)[.. step.Select(PassShape.Of)])]);

        // Evenly over the first so many steps of the data.
        List<IReadOnlyList<PackedBatch>> Simulate(int steps) => [.. Enumerable.Range(0, Math.Min(steps, MostSteps))
            .Select(i => Passes.Of(data.Step((int)((long)i * steps / Math.Min(steps, MostSteps))), spec.BatchSize, maxLength, spec.Packing, data.AnswersPerExample))];
    }
}
