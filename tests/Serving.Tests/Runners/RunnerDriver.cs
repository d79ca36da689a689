using TokenMill.Serving.PrefixCache;
using TokenMill.Serving.Scheduler;
using TokenMill.Serving.Tests.Scheduler;

namespace TokenMill.Serving.Tests.Runners;

/// <summary>Gives a runner steps by hand, and remembers how long sequences are.</summary>
internal sealed class RunnerDriver(IModelExecutor runner)
{
    private readonly StepPlan _plan = new();
    private readonly Dictionary<int, int> _lengths = [];

    public void Fork(int source, int target, int length)
    {
        _plan.OperationList.Add(new CacheOperation(CacheOperationKind.Fork, new SequenceId(target), new SequenceId(source), length));
        _lengths[target] = length;
    }

    public void Truncate(int sequence, int length)
    {
        _plan.OperationList.Add(new CacheOperation(CacheOperationKind.Truncate, new SequenceId(sequence), default, length));
        _lengths[sequence] = length;
    }

    public void Drop(int sequence)
    {
        _plan.OperationList.Add(new CacheOperation(CacheOperationKind.Drop, new SequenceId(sequence), default, 0));
        _lengths[sequence] = 0;
    }

    /// <summary>A sequence came to be by another way.</summary>
    public void Held(int sequence, int length) => _lengths[sequence] = length;

    public void Add(int sequence, int[] tokens, LogitsWanted wanted) =>
        _plan.Add(new EngineRequest(tokens, 0, new CacheKey("", null), new ScoringConsumer()) { ComputedTokens = _lengths.GetValueOrDefault(sequence) }, new SequenceId(sequence), tokens, wanted);

    public void Execute(string? adapter = null) => Assert.Equal(StepOutcome.Computed, TryExecute(adapter));

    public StepOutcome TryExecute(string? adapter = null)
    {
        _plan.UseAdapter(adapter);
        var outcome = runner.Execute(_plan);
        if (outcome == StepOutcome.Computed)
            foreach (var part in _plan.Parts) _lengths[part.Sequence.Value] = part.Position + part.Tokens.Length;
        _plan.Clear();
        return outcome;
    }

    public float[] Logits(int row) => runner.Logits(row).ToArray();
}
