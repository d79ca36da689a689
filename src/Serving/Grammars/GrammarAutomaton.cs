using System.Runtime.InteropServices;

namespace TokenMill.Serving.Grammars;

/// <summary>What may follow some text: all ways to read it at once.</summary>
internal sealed class GrammarState(int[] stacks, int byteClasses)
{
    /// <summary>Ways to go on, in order; 0 is the end of the text.</summary>
    internal int[] Stacks => stacks;

    /// <summary>By class of bytes; null: not asked yet.</summary>
    internal GrammarState?[] Next { get; } = new GrammarState?[byteClasses];

    /// <summary>The text may end here.</summary>
    public bool CanEnd => stacks is [0, ..];

    /// <summary>The text can only end here.</summary>
    public bool MustEnd => stacks is [0];

    /// <summary>No way to go on and none to end: the text is not of the grammar.</summary>
    public bool IsDead => stacks.Length == 0;

    /// <summary>One bit a token: those that may come next. Made when first asked for.</summary>
    internal ulong[]? AllowedTokens { get; set; }
}

/// <summary>
/// A deterministic automaton for a context-free grammar, made as it is walked. A way to read a text is a stack of places in the grammar;
/// stacks are linked lists with shared, numbered nodes, so that equal ones have equal numbers; a state is a set of stacks whose tops each want a byte.
/// Equal states are one object, and what was computed for it (where bytes lead, which tokens fit) is kept.
/// (Idea: pushdown matching as in llama.cpp, with the caching of a lazy regular-expression automaton.)
/// Owned by the engine's thread.
/// </summary>
internal sealed class GrammarAutomaton
{
    /// <summary>Ways to read one text; an ambiguous grammar can have twice as many with each character.</summary>
    private const int MaxStacksPerState = 20_000;
    private const int LargeStates = 20_000, LargeStacks = 500_000;
    private const int EndStack = 0;

    private readonly Grammar _grammar;
    private readonly byte[] _classOfByte = new byte[256];
    private readonly int _byteClasses;
    private readonly List<(int Place, int Below)> _stacks = [default];
    private readonly Dictionary<(int Place, int Below), int> _stackNumbers = [];
    private readonly Dictionary<int[], GrammarState> _states = new(new SameNumbers());

    public GrammarAutomaton(Grammar grammar)
    {
        _grammar = grammar;
        _byteClasses = ClassifyBytes(grammar, _classOfByte);
        Start = Closure(grammar.Rules[0].Select(place => (place, EndStack)));
    }

    public GrammarState Start { get; }

    /// <summary>It has grown so much that a new one is better for the next answer.</summary>
    public bool IsLarge => _states.Count > LargeStates || _stacks.Count > LargeStacks;

    /// <exception cref="GrammarAmbiguousException">There are too many ways to read the text.</exception>
    public GrammarState Step(GrammarState state, byte b) => state.Next[_classOfByte[b]] ??= Closure(After(state, b));

    public GrammarState Walk(GrammarState state, ReadOnlySpan<byte> bytes)
    {
        foreach (var b in bytes)
        {
            if (state.IsDead) break;
            state = Step(state, b);
        }
        return state;
    }

    private IEnumerable<(int Place, int Below)> After(GrammarState state, byte b)
    {
        foreach (var number in state.Stacks)
        {
            var (place, rest) = _stacks[number];
            if (number != EndStack && _grammar.Elements[place].Bytes.Contains(b)) yield return (place + 1, rest);
        }
    }

    /// <summary>Follows rules and ends of rules until every stack wants a byte, or is at the end of the text.</summary>
    private GrammarState Closure(IEnumerable<(int Place, int Below)> places)
    {
        var open = new Stack<(int Place, int Below)>(places);
        var seen = new HashSet<(int, int)>();
        var stacks = new SortedSet<int>();
        while (open.TryPop(out var at))
        {
            if (!seen.Add(at)) continue;
            if (seen.Count > MaxStacksPerState) throw new GrammarAmbiguousException();
            var element = _grammar.Elements[at.Place];
            if (element.IsEnd && at.Below == EndStack) stacks.Add(EndStack);
            else if (element.IsEnd) open.Push(_stacks[at.Below]);
            else if (!element.IsRule) stacks.Add(Number(at));
            else
            {
                // A rule at the end of another needs no place to return to: repetitions keep their stacks short.
                var rest = _grammar.Elements[at.Place + 1].IsEnd ? at.Below : Number((at.Place + 1, at.Below));
                foreach (var start in _grammar.Rules[element.Rule]) open.Push((start, rest));
            }
        }
        int[] key = [.. stacks];
        ref var state = ref CollectionsMarshal.GetValueRefOrAddDefault(_states, key, out _);
        return state ??= new GrammarState(key, _byteClasses);
    }

    private int Number((int Place, int Below) stack)
    {
        if (_stackNumbers.TryGetValue(stack, out var number)) return number;
        _stacks.Add(stack);
        return _stackNumbers[stack] = _stacks.Count - 1;
    }

    /// <summary>Bytes that no set of the grammar tells apart have the same class.</summary>
    private static int ClassifyBytes(Grammar grammar, byte[] classOfByte)
    {
        var count = 1;
        foreach (var set in grammar.Elements.Where(e => e is { IsRule: false, IsEnd: false }).Select(e => e.Bytes).Distinct())
        {
            var split = new Dictionary<(byte, bool), byte>();
            for (var b = 0; b < 256; b++)
            {
                var key = (classOfByte[b], set.Contains(b));
                if (!split.TryGetValue(key, out var number)) split[key] = number = (byte)split.Count;
                classOfByte[b] = number;
            }
            count = split.Count;
            if (count == 256) break;
        }
        return count;
    }

    private sealed class SameNumbers : IEqualityComparer<int[]>
    {
        public bool Equals(int[]? left, int[]? right) => left.AsSpan().SequenceEqual(right);

        public int GetHashCode(int[] numbers)
        {
            var hash = new HashCode();
            hash.AddBytes(MemoryMarshal.AsBytes(numbers.AsSpan()));
            return hash.ToHashCode();
        }
    }
}

/// <summary>A text can be read in more ways than are followed.</summary>
internal sealed class GrammarAmbiguousException() : Exception("there are too many ways to read the text by its grammar");
