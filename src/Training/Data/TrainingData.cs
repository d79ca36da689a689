using TokenMill.Shared.ChatTemplates;

namespace TokenMill.Training.Data;

/// <summary>
/// The examples of a run, encoded and at hand in any order. What a step sees follows from the specification and the step's number alone.
/// Preferences are two examples each, chosen before rejected.
/// </summary>
public sealed class TrainingData : IDisposable
{
    private readonly EpochOrder _order;
    private readonly int _examplesPerItem;
    private readonly ExampleStore _training, _validation;

    internal TrainingData(ExampleStore training, ExampleStore validation, EpochOrder order, bool preferences, IReadOnlyList<DataWarning> warnings)
    {
        (_training, _validation, _order, Warnings) = (training, validation, order, warnings);
        _examplesPerItem = preferences ? 2 : 1;
    }

    /// <summary>What was set aside, cut or left out, for the user to see.</summary>
    public IReadOnlyList<DataWarning> Warnings { get; }

    public bool IsPreferences => _examplesPerItem == 2;
    public int StepsPerEpoch => _order.StepsPerEpoch;

    /// <summary>Examples (or pairs) that an epoch visits, the weights of their sources included.</summary>
    public int ExamplesPerEpoch => _order.ExamplesPerEpoch;
    public int ValidationCount => _validation.Count / _examplesPerItem;

    /// <summary>Tokens of all training examples, each once.</summary>
    public long Tokens => _training.Tokens;
    public long SupervisedTokens => _training.SupervisedTokens;
    public int Longest => Math.Max(_training.Longest, _validation.Longest);

    /// <summary>Tokens of an epoch by the weights of the sources, on average.</summary>
    public long TokensPerEpoch => _training.Count == 0 ? 0 : (long)((double)_training.Tokens / _training.Count * _examplesPerItem * _order.ExamplesPerEpoch);

    /// <summary>The examples of an optimizer step, counted from 0 over all epochs: batch_size × accumulation of them, fewer at the end of an epoch.</summary>
    public IReadOnlyList<EncodedExample> Step(int step)
    {
        var indices = _order.Step(step);
        var examples = new EncodedExample[indices.Length * _examplesPerItem];
        for (var i = 0; i < examples.Length; i++) examples[i] = _training[indices[i / _examplesPerItem] * _examplesPerItem + i % _examplesPerItem];
        return examples;
    }

    /// <summary>Validation examples in their order; of preferences, both of each pair.</summary>
    public IReadOnlyList<EncodedExample> Validation(int first, int count)
    {
        var examples = new EncodedExample[Math.Min(count, ValidationCount - first) * _examplesPerItem];
        for (var i = 0; i < examples.Length; i++) examples[i] = _validation[first * _examplesPerItem + i];
        return examples;
    }

    public void Dispose()
    {
        _training.Dispose();
        _validation.Dispose();
    }
}

/// <summary>Something about the data that the user should know but that does not stop the run.</summary>
public sealed record DataWarning(string Code, string Message);
