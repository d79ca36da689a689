using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Grammars;

/// <summary>Keeps one answer within a grammar, token by token.</summary>
/// <param name="visibleControls">Control tokens that count as text.</param>
internal sealed class GrammarConstraint(GrammarAutomaton automaton, SortedTokens tokens, LlamaVocabulary vocabulary, IReadOnlySet<int> visibleControls)
{
    private GrammarState _state = automaton.Start;

    /// <summary>The answer is whole, and nothing more may follow.</summary>
    public bool MustEnd => _state.MustEnd;

    public bool Allows(int token) =>
        vocabulary.IsEndOfGeneration(token) ? _state.CanEnd
        : (!vocabulary.IsControl(token) || visibleControls.Contains(token)) && vocabulary.Piece(token) is { Length: > 0 } bytes && !automaton.Walk(_state, bytes).IsDead;

    /// <summary>Gives every token that may not follow the score −∞; false if none may.</summary>
    public bool Mask(Span<float> scores)
    {
        var allowed = _state.AllowedTokens ??= FindAllowed(scores.Length);
        var any = false;
        for (var token = 0; token < scores.Length; token++)
            if ((allowed[token / 64] >> token % 64 & 1) == 0) scores[token] = float.NegativeInfinity;
            else any = true;
        return any;
    }

    /// <summary>A token that <see cref="Allows"/>.</summary>
    public void Accept(int token)
    {
        if (!vocabulary.IsEndOfGeneration(token)) _state = automaton.Walk(_state, vocabulary.Piece(token));
    }

    private ulong[] FindAllowed(int vocabularySize)
    {
        var bits = new ulong[(vocabularySize + 63) / 64];
        tokens.ForEachAllowed(automaton, _state, token => bits[token / 64] |= 1UL << token % 64);
        for (var token = 0; token < vocabularySize; token++)
            if ((vocabulary.IsEndOfGeneration(token) || visibleControls.Contains(token)) && Allows(token)) bits[token / 64] |= 1UL << token % 64;
        return bits;
    }
}
