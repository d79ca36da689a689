using System.Text.Json;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Tests.Scheduler;

/// <summary>
/// A runner without a model: it keeps cells as a real one does, checks every order it gets, and its logits depend on the adapter
/// and on every token of the sequence, so that a wrong prefix, a lost or a doubled token changes the answer.
/// </summary>
internal sealed class FakeExecutor(int capacityTokens, int maxSequences = 12, int vocabulary = 50) : IModelExecutor
{
    private sealed record Cell(int Token, string? Adapter);

    private readonly Dictionary<int, List<Cell>> _sequences = [];
    private readonly List<float[]> _rows = [];

    public int VocabularySize => vocabulary;
    public int CapacityTokens => capacityTokens;
    public int MaxSequenceTokens { get; init; } = int.MaxValue;
    public int MaxSequences => maxSequences;
    public int MaxStepTokens { get; init; } = 64;
    public int MaxStepRows { get; init; } = 64;
    public bool SharesPrefixes { get; init; } = true;

    public int MaxAdapters { get; init; } = 16;

    /// <summary>An adapter that cannot be loaded.</summary>
    public string? BrokenAdapter { get; init; }

    public List<string> LoadedAdapters { get; } = [];
    public int AdapterLoads { get; private set; }

    /// <summary>The logits depend on so many of the last tokens: with few, answers begin to repeat themselves.</summary>
    public int Memory { get; init; } = int.MaxValue;
    /// <summary>One of so many predictions is another one: a draft model of the one that never errs. 0: none.</summary>
    public int ErrsOnceIn { get; init; }

    public bool IsDisposed { get; private set; }

    /// <summary>Cells that some sequence holds, shared ones once.</summary>
    public int UsedCells => _sequences.Values.SelectMany(s => s).Distinct(ReferenceEqualityComparer.Instance).Count();

    /// <summary>Steps, counted from 1, in which the runner finds no room although there should be some (if it holds more than one sequence).</summary>
    public HashSet<int> FailingSteps { get; init; } = [];

    /// <summary>Too many tokens are the runner's answer, not the test's failure.</summary>
    public bool SaysWhenFull { get; init; }

    public string? StateFormat => SharesPrefixes ? "fake" : null;

    public Action? BeforeStep { get; init; }
    public int Steps { get; private set; }
    public List<(string? Adapter, int Tokens)> Log { get; } = [];

    public StepOutcome Execute(StepPlan plan)
    {
        BeforeStep?.Invoke();
        Steps++;
        foreach (var operation in plan.Operations) Apply(operation);
        if (FailingSteps.Contains(Steps) && _sequences.Values.Count(s => s.Count > 0) > 1) return StepOutcome.CacheFull;

        if (SaysWhenFull && UsedCells + plan.TokenCount > capacityTokens) return StepOutcome.CacheFull;

        Assert.InRange(plan.TokenCount, 0, MaxStepTokens);
        Assert.Equal(plan.Parts.Count, plan.Parts.Select(p => p.Sequence).Distinct().Count());
        Assert.InRange(plan.RowCount, 0, MaxStepRows);
        if (plan.Adapter is { } adapter) Assert.Contains(adapter, LoadedAdapters);
        Log.Add((plan.Adapter, plan.TokenCount));
        _rows.Clear();
        foreach (var part in plan.Parts)
        {
            Assert.InRange(part.Sequence.Value, 0, maxSequences - 1);
            var cells = Cells(part.Sequence);
            Assert.Equal(cells.Count, part.Position);
            Assert.True(part.Tokens.Length > 0);
            Assert.Equal(_rows.Count, part.FirstRow);
            foreach (var token in part.Tokens.Span)
            {
                Assert.InRange(token, 0, vocabulary - 1);
                cells.Add(new Cell(token, plan.Adapter));
                if (part.Logits == LogitsWanted.All) _rows.Add(LogitsOf(cells));
            }
            if (part.Logits == LogitsWanted.Last) _rows.Add(LogitsOf(cells));
        }
        Assert.InRange(UsedCells, 0, capacityTokens);
        return StepOutcome.Computed;
    }

    public Error? LoadAdapter(string adapter)
    {
        Assert.DoesNotContain(adapter, LoadedAdapters);
        Assert.InRange(LoadedAdapters.Count, 0, MaxAdapters - 1);
        if (adapter == BrokenAdapter) return new Error("adapter-broken", "it is broken", "take another");
        AdapterLoads++;
        LoadedAdapters.Add(adapter);
        return null;
    }

    public void UnloadAdapter(string adapter) => Assert.True(LoadedAdapters.Remove(adapter));

    public byte[] Save(SequenceId sequence, int mostBytes)
    {
        var state = JsonSerializer.SerializeToUtf8Bytes(Cells(sequence));
        return state.Length <= mostBytes ? state : throw new RefusedException("state-too-large", $"{state.Length} bytes", "");
    }

    public bool Restore(SequenceId sequence, int tokens, ReadOnlySpan<byte> state)
    {
        Assert.Empty(Cells(sequence));
        Assert.InRange(UsedCells + tokens, 0, capacityTokens);
        try
        {
            var cells = JsonSerializer.Deserialize<List<Cell>>(state)!;
            if (cells.Count != tokens) return false;
            Cells(sequence).AddRange(cells);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    public ReadOnlySpan<float> Logits(int row) => _rows[row];

    public void Dispose() => IsDisposed = true;

    /// <summary>The token that follows, for whoever computes the sequence alone.</summary>
    public int Next(IReadOnlyList<int> tokens, string? adapter) => ArgMax(LogitsOf([.. tokens.Select(t => new Cell(t, adapter))]));

    public static int ArgMax(ReadOnlySpan<float> logits) => System.Numerics.Tensors.TensorPrimitives.IndexOfMax(logits);

    private List<Cell> Cells(SequenceId id) => _sequences.TryGetValue(id.Value, out var cells) ? cells : _sequences[id.Value] = [];

    private void Apply(CacheOperation operation)
    {
        var target = Cells(operation.Target);
        switch (operation.Kind)
        {
            case CacheOperationKind.Fork:
                Assert.True(SharesPrefixes);
                Assert.Empty(target);
                Assert.InRange(operation.Length, 1, Cells(operation.Source).Count);
                target.AddRange(Cells(operation.Source).Take(operation.Length));
                break;
            case CacheOperationKind.Truncate:
                Assert.True(SharesPrefixes);
                Assert.InRange(operation.Length, 1, target.Count - 1);
                target.RemoveRange(operation.Length, target.Count - operation.Length);
                break;
            default:
                target.Clear();
                break;
        }
    }

    private float[] LogitsOf(IReadOnlyList<Cell> cells)
    {
        var hash = 17UL;
        foreach (var cell in cells.Skip(cells.Count - Math.Min(cells.Count, Memory))) hash = (hash ^ (ulong)(cell.Token + 1) ^ (ulong)((cell.Adapter?.Length ?? 0) << 20)) * 0x9E3779B97F4A7C15 + 1;
        var logits = new float[vocabulary];
        var errs = ErrsOnceIn > 0 && (hash >> 20) % (ulong)ErrsOnceIn == 0 ? 1UL : 0;
        logits[((hash >> 33) + errs) % (ulong)vocabulary] = 1;
        return logits;
    }
}
