namespace TokenMill.Serving.Scheduler;

public enum CacheOperationKind
{
    /// <summary>Target, so far empty, shares the first Length tokens of Source.</summary>
    Fork,

    /// <summary>Target keeps only its first Length tokens.</summary>
    Truncate,

    /// <summary>Target becomes empty.</summary>
    Drop,
}

/// <summary>A change of what the runner holds, made before the tokens of the step are computed.</summary>
public readonly record struct CacheOperation(CacheOperationKind Kind, SequenceId Target, SequenceId Source, int Length);

public enum LogitsWanted { None, Last, All }

/// <summary>Tokens to compute at the end of a sequence; <paramref name="Position"/> is its length before.</summary>
/// <param name="FirstRow">Number of the first row of logits of this part within the step.</param>
public readonly record struct StepPart(SequenceId Sequence, int Position, ReadOnlyMemory<int> Tokens, LogitsWanted Logits, int FirstRow)
{
    public int RowCount => Logits switch { LogitsWanted.None => 0, LogitsWanted.Last => 1, _ => Tokens.Length };
}

/// <summary>
/// One step: all that the runner needs to know. First the cache operations in their order, then all parts at once,
/// every one of them under the same adapter.
/// </summary>
public sealed class StepPlan
{
    private readonly List<CacheOperation> _operations = [];
    private readonly List<StepPart> _parts = [];
    private readonly List<EngineRequest> _requests = [];

    public string? Adapter { get; private set; }
    public IReadOnlyList<CacheOperation> Operations => _operations;
    public IReadOnlyList<StepPart> Parts => _parts;
    public int TokenCount { get; private set; }
    public int RowCount { get; private set; }

    /// <summary>Tokens of answers, guessed ones included.</summary>
    internal int AnswerTokens { get; set; }

    /// <summary>Tokens of prompts in a step that others wait for, answers or whoever comes next; else 0.</summary>
    internal int BoundedPromptTokens { get; set; }

    /// <summary>The requests, in the order of <see cref="Parts"/>.</summary>
    internal IReadOnlyList<EngineRequest> Requests => _requests;

    internal List<CacheOperation> OperationList => _operations;

    internal void Clear(string? adapter = null)
    {
        _operations.Clear();
        _parts.Clear();
        _requests.Clear();
        (Adapter, TokenCount, RowCount, AnswerTokens, BoundedPromptTokens) = (adapter, 0, 0, 0, 0);
    }

    internal void UseAdapter(string? adapter) => Adapter = adapter;

    internal void Add(EngineRequest request, SequenceId sequence, ReadOnlyMemory<int> tokens, LogitsWanted logits) =>
        Add(request, sequence, request.ComputedTokens, tokens, logits);

    internal void Add(EngineRequest request, SequenceId sequence, int position, ReadOnlyMemory<int> tokens, LogitsWanted logits)
    {
        var part = new StepPart(sequence, position, tokens, logits, RowCount);
        _parts.Add(part);
        _requests.Add(request);
        TokenCount += tokens.Length;
        RowCount += part.RowCount;
    }
}
