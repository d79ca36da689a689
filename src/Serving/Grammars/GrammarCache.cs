using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Grammars;

/// <summary>Automata of the grammars that were asked for last, so that the same schema in the next request starts with what was computed for it. Thread-safe.</summary>
internal sealed class GrammarCache(LlamaVocabulary vocabulary)
{
    private const int MaxKept = 32;

    private readonly Lazy<SortedTokens> _tokens = new(() => new SortedTokens(vocabulary));
    private readonly LinkedList<(string Text, GrammarAutomaton Automaton)> _recent = [];
    private readonly Lock _gate = new();

    /// <param name="visibleControls">Control tokens that count as text; always the same for one grammar.</param>
    /// <returns>Makes the constraint of one answer.</returns>
    public Func<GrammarConstraint> Constraint(string grammarText, IReadOnlySet<int> visibleControls)
    {
        var automaton = Find(grammarText) ?? Keep(grammarText, new GrammarAutomaton(GrammarText.Parse(grammarText)));
        var tokens = _tokens.Value;
        return () => new GrammarConstraint(automaton, tokens, vocabulary, visibleControls);
    }

    private GrammarAutomaton? Find(string text)
    {
        lock (_gate)
        {
            for (var node = _recent.First; node is not null; node = node.Next)
            {
                if (node.Value.Text != text) continue;
                _recent.Remove(node);
                if (node.Value.Automaton.IsLarge) return null;
                _recent.AddFirst(node);
                return node.Value.Automaton;
            }
            return null;
        }
    }

    private GrammarAutomaton Keep(string text, GrammarAutomaton automaton)
    {
        lock (_gate)
        {
            _recent.AddFirst((text, automaton));
            if (_recent.Count > MaxKept) _recent.RemoveLast();
            return automaton;
        }
    }
}
