using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Tests.Scheduler;

/// <summary>A runner that makes no garbage, takes any order, and writes down what the engine's thread has allocated by the beginning of each step.</summary>
internal sealed class SteadyExecutor(int vocabulary, int[] answers, int steps) : IModelExecutor
{
    private readonly float[][] _rows = [.. answers.Select(token => OneHot(vocabulary, token))];
    private readonly List<long> _allocated = new(steps);
    private int _asked;

    public int VocabularySize => vocabulary;
    public int CapacityTokens => 1 << 20;
    public int MaxSequenceTokens => 1 << 20;
    public int MaxSequences => 64;
    public int MaxStepTokens => 512;
    public int MaxStepRows => 64;
    public bool SharesPrefixes => true;
    public int MaxAdapters => 1;

    /// <summary>Bytes allocated between the beginnings of two steps.</summary>
    public IReadOnlyList<long> AllocatedPerStep => [.. _allocated.Zip(_allocated.Skip(1), (a, b) => b - a)];

    public Error? LoadAdapter(string adapter) => null;

    public void UnloadAdapter(string adapter)
    {
    }

    public string? StateFormat => null;

    public byte[] Save(SequenceId sequence, int mostBytes) => throw new NotSupportedException();

    public bool Restore(SequenceId sequence, int tokens, ReadOnlySpan<byte> state) => throw new NotSupportedException();

    public StepOutcome Execute(StepPlan plan)
    {
        if (_allocated.Count < steps) _allocated.Add(GC.GetAllocatedBytesForCurrentThread());
        return StepOutcome.Computed;
    }

    /// <summary>Each row has another answer than the one before, in a long cycle.</summary>
    public ReadOnlySpan<float> Logits(int row) => _rows[++_asked * 7919 % _rows.Length];

    public void Dispose()
    {
    }

    private static float[] OneHot(int width, int token)
    {
        var row = new float[width];
        row[token] = 1;
        return row;
    }
}
