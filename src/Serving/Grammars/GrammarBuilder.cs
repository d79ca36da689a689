using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Grammars;

/// <summary>Collects rules, and checks the whole.</summary>
internal sealed class GrammarBuilder
{
    /// <summary>A hostile grammar ends here: {1,1000000} and the like.</summary>
    private const int MaxElements = 200_000;

    private readonly List<List<GrammarElement[]>> _rules = [];
    private int _elements;

    public int NewRule()
    {
        _rules.Add([]);
        return _rules.Count - 1;
    }

    public void Add(int rule, params ReadOnlySpan<GrammarElement> alternative)
    {
        _elements += alternative.Length + 1;
        if (_elements > MaxElements) throw new RefusedException("grammar-too-large", $"the grammar has more than {MaxElements:N0} parts", "use fewer alternatives and smaller counts of repetition");
        _rules[rule].Add(alternative.ToArray());
    }

    /// <summary>One character of the given ranges.</summary>
    public GrammarElement Characters(IReadOnlyList<(int First, int Last)> ranges)
    {
        var single = default(ByteSet);
        var longer = new List<ByteSet[]>();
        foreach (var sequence in ranges.SelectMany(r => Utf8Ranges.Of(r.First, r.Last)))
            if (sequence is [var only]) single = new ByteSet(single.Low | only.Low, single.High | only.High);
            else longer.Add(sequence);
        if (longer.Count == 0) return GrammarElement.OfBytes(single);
        var rule = NewRule();
        if (single != default) Add(rule, GrammarElement.OfBytes(single));
        foreach (var sequence in longer) Add(rule, [.. sequence.Select(GrammarElement.OfBytes)]);
        return GrammarElement.OfRule(rule);
    }

    /// <param name="most">Null: any number.</param>
    public GrammarElement Repeated(GrammarElement element, int least, int? most)
    {
        if (Math.Max(least, most ?? 0) > MaxElements) Add(0, new GrammarElement[MaxElements]);      // refused before it is built
        var rest = NewRule();
        Add(rest);
        if (most is null) Add(rest, element, GrammarElement.OfRule(rest));
        else
            for (var more = most.Value - least; more > 0; more--)
            {
                var longer = NewRule();
                Add(longer);
                Add(longer, element, GrammarElement.OfRule(rest));
                rest = longer;
            }
        if (least == 0) return GrammarElement.OfRule(rest);
        var whole = NewRule();
        Add(whole, [.. Enumerable.Repeat(element, least), GrammarElement.OfRule(rest)]);
        return GrammarElement.OfRule(whole);
    }

    /// <param name="name">What people call a rule, for messages.</param>
    /// <exception cref="RefusedException">grammar-left-recursive: a rule begins with itself.</exception>
    public Grammar Build(Func<int, string> name)
    {
        if (FindLeftRecursion() is { } rule)
            throw new RefusedException("grammar-left-recursive", $"the grammar never ends in {name(rule)}: it begins with itself, or repeats what may be empty", "let each repetition begin with a character of its own");
        var elements = new List<GrammarElement>(_elements);
        var starts = new List<int[]>(_rules.Count);
        foreach (var alternatives in _rules)
        {
            var places = new int[alternatives.Count];
            for (var i = 0; i < places.Length; i++)
            {
                places[i] = elements.Count;
                elements.AddRange(alternatives[i]);
                elements.Add(GrammarElement.End);
            }
            starts.Add(places);
        }
        return new Grammar(elements, starts);
    }

    /// <summary>A rule on a circle of rules each of which may begin with the next; found by taking away, again and again, what no other begins with.</summary>
    private int? FindLeftRecursion()
    {
        var nullable = FindNullable();
        var begins = _rules.ConvertAll(alternatives => alternatives.SelectMany(a => BeginsWith(a, nullable)).Distinct().ToArray());
        var begunBy = new int[_rules.Count];
        foreach (var other in begins.SelectMany(b => b)) begunBy[other]++;
        var free = new Queue<int>(Enumerable.Range(0, _rules.Count).Where(r => begunBy[r] == 0));
        var left = _rules.Count;
        while (free.TryDequeue(out var rule))
        {
            left--;
            foreach (var other in begins[rule])
                if (--begunBy[other] == 0) free.Enqueue(other);
        }
        return left == 0 ? null : Array.FindIndex(begunBy, b => b > 0);
    }

    private static IEnumerable<int> BeginsWith(GrammarElement[] alternative, bool[] nullable)
    {
        foreach (var element in alternative)
        {
            if (!element.IsRule) yield break;
            yield return element.Rule;
            if (!nullable[element.Rule]) yield break;
        }
    }

    private bool[] FindNullable()
    {
        var nullable = new bool[_rules.Count];
        var usedBy = new List<int>[_rules.Count];
        for (var rule = 0; rule < _rules.Count; rule++)
            foreach (var used in _rules[rule].SelectMany(a => a).Where(e => e.IsRule).Select(e => e.Rule).Distinct()) (usedBy[used] ??= []).Add(rule);
        var open = new Queue<int>(Enumerable.Range(0, _rules.Count));
        while (open.TryDequeue(out var rule))
        {
            if (nullable[rule] || !_rules[rule].Exists(a => Array.TrueForAll(a, e => e.IsRule && nullable[e.Rule]))) continue;
            nullable[rule] = true;
            foreach (var user in usedBy[rule] ?? []) open.Enqueue(user);
        }
        return nullable;
    }
}
