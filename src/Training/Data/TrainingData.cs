using System.Security.Cryptography;
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
    private readonly IReadOnlyList<(string Name, int First)> _sources;

    internal TrainingData(ExampleStore training, ExampleStore validation, EpochOrder order, bool preferences, IReadOnlyList<(string Name, int First)> sources, IReadOnlyList<DataWarning> warnings)
    {
        (_training, _validation, _order, _sources, Warnings) = (training, validation, order, sources, warnings);
        _examplesPerItem = preferences ? 2 : 1;
    }

    /// <summary>What was set aside, cut or left out, for the user to see.</summary>
    public IReadOnlyList<DataWarning> Warnings { get; }

    /// <summary>2 for pairs of answers, else 1.</summary>
    public int AnswersPerExample => _examplesPerItem;
    public int StepsPerEpoch => _order.StepsPerEpoch;

    /// <summary>Examples (or pairs) that an epoch visits, the weights of their sources included.</summary>
    public int ExamplesPerEpoch => _order.ExamplesPerEpoch;

    /// <summary>Examples (or pairs) to train with, each once.</summary>
    public int TrainingCount => _training.Count / _examplesPerItem;
    public int ValidationCount => _validation.Count / _examplesPerItem;

    /// <summary>Of all ids and labels in their order (32 bytes): the same data gives the same.</summary>
    public byte[] Fingerprint => SHA256.HashData([.. _training.Fingerprint, .. _validation.Fingerprint]);

    /// <summary>Tokens of all training examples, each once.</summary>
    public long Tokens => _training.Tokens;
    public long ValidationTokens => _validation.Tokens;
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

    /// <summary>Which examples a step takes, by their place in the data.</summary>
    public ReadOnlySpan<int> Order(int step) => _order.Step(step);

    /// <summary>File and row of a training example, for a person to find it.</summary>
    public string NameOf(int example) => $"{_sources.Last(source => source.First <= example).Name} row {_training.Row(example * _examplesPerItem)}";

    /// <summary>Training examples in the order of the data; of preferences, both of each pair.</summary>
    public IReadOnlyList<EncodedExample> Training(int first, int count) => Read(_training, first, Math.Min(count, TrainingCount - first));

    /// <summary>Validation examples in their order; of preferences, both of each pair.</summary>
    public IReadOnlyList<EncodedExample> Validation(int first, int count) => Read(_validation, first, Math.Min(count, ValidationCount - first));

    private EncodedExample[] Read(ExampleStore store, int first, int count) => [.. Enumerable.Range(first * _examplesPerItem, count * _examplesPerItem).Select(index => store[index])];

    public void Dispose()
    {
        _training.Dispose();
        _validation.Dispose();
    }
}

/// <summary>Something about the data that the user should know but that does not stop the run.</summary>
public sealed record DataWarning(string Code, string Message);
