using System.Runtime.InteropServices;
using TokenMill.Shared.Formats;
using TokenMill.Training.Data;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>
/// How probable the model that a run starts from finds each answer of its pairs: the reference of preference optimisation. It is
/// computed once, before the first step, and kept in the run's folder, so that a resumed run reads it; what a stop leaves undone
/// is computed by the next start. File: "TMREF1\0\0", fingerprint of the data (32 bytes), then a double for each answer of the
/// training pairs and of the validation pairs, NaN where it is not known.
/// </summary>
public sealed class ReferenceLogProbabilities
{
    private const int PairsAtOnce = 64;
    private static readonly byte[] Magic = "TMREF1\0\0"u8.ToArray();

    private readonly TrainingData _data;
    private readonly double[] _values;
    private readonly int _validationStart;

    private ReferenceLogProbabilities(TrainingData data)
    {
        _data = data;
        _validationStart = 2 * data.TrainingCount;
        _values = new double[_validationStart + 2 * data.ValidationCount];
        Array.Fill(_values, double.NaN);
    }

    /// <param name="model">As the run starts: nothing trained yet.</param>
    /// <param name="steps">Pairs that so many steps do not reach are left out.</param>
    /// <param name="progress">Told how many pairs of how many are done, about a hundred times; not at all where all are known.</param>
    public static ReferenceLogProbabilities LoadOrCompute(string path, TrainingData data, CausalModel model, int steps, int maxLength, Action<int, int> progress, CancellationToken cancellationToken)
    {
        var reference = new ReferenceLogProbabilities(data);
        reference.TryLoad(path);
        var reached = new HashSet<int>();
        for (var step = 0; step < steps && reached.Count < data.TrainingCount; step++) foreach (var pair in data.Order(step)) reached.Add(pair);
        int[] missing = [.. reached.Order(), .. Enumerable.Range(data.TrainingCount, data.ValidationCount)];
        missing = [.. missing.Where(pair => double.IsNaN(reference._values[2 * pair + 1]))];
        if (missing.Length == 0) return reference;
        try
        {
            var done = 0;
            progress(0, missing.Length);
            foreach (var pairs in missing.Chunk(PairsAtOnce))
            {
                reference.Compute(pairs, model, maxLength, cancellationToken);
                var (before, now) = (done, done += pairs.Length);
                if (100L * now / missing.Length > 100L * before / missing.Length) progress(now, missing.Length);
            }
        }
        finally
        {
            AtomicFile.Write(path, stream =>
            {
                stream.Write(Magic);
                stream.Write(data.Fingerprint);
                stream.Write(MemoryMarshal.AsBytes<double>(reference._values));
            });
        }
        return reference;
    }

    /// <summary>Two values for each pair of a step, in its order.</summary>
    public ReadOnlyMemory<double> OfStep(int step) => _data.Order(step).ToArray().SelectMany(pair => new[] { _values[2 * pair], _values[2 * pair + 1] }).ToArray();

    public ReadOnlyMemory<double> OfValidation(int first, int count) => _values.AsMemory(_validationStart + 2 * first, 2 * count);

    private void Compute(int[] pairs, CausalModel model, int maxLength, CancellationToken cancellationToken)
    {
        using var mode = TorchRuntime.WithoutGradient();
        var examples = pairs.SelectMany(pair => pair < _data.TrainingCount ? _data.Training(pair, 1) : _data.Validation(pair - _data.TrainingCount, 1)).ToList();
        foreach (var batch in Passes.Of(examples, pairs.Length, maxLength, packing: true, answers: 2))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = new TensorScope();
            foreach (var (example, (logProbability, _)) in PreferenceObjective.Answers(batch, model.Losses(batch)))
                _values[2 * pairs[example / 2] + example % 2] = logProbability;
        }
    }

    private void TryLoad(string path)
    {
        if (!File.Exists(path)) return;
        var bytes = File.ReadAllBytes(path);
        var start = Magic.Length + _data.Fingerprint.Length;
        if (bytes.Length != start + sizeof(double) * _values.Length || !bytes.AsSpan().StartsWith(Magic) || !bytes.AsSpan(Magic.Length).StartsWith(_data.Fingerprint)) return;
        bytes.AsSpan(start).CopyTo(MemoryMarshal.AsBytes(_values.AsSpan()));
    }
}
