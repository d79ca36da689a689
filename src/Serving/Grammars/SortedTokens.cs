using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Grammars;

/// <summary>The tokens of a vocabulary that are text, in the order of their bytes, so that those with a common beginning are looked at together.</summary>
internal sealed class SortedTokens
{
    private readonly int[] _ids;
    private readonly byte[][] _bytes;
    private readonly int[] _sharedWithPrevious;               // count of bytes

    public SortedTokens(LlamaVocabulary vocabulary)
    {
        _ids = [.. Enumerable.Range(0, vocabulary.Count).Where(id => !vocabulary.IsControl(id) && !vocabulary.IsEndOfGeneration(id) && vocabulary.Piece(id).Length > 0)];
        _bytes = [.. _ids.Select(vocabulary.Piece)];
        Array.Sort(_bytes, _ids, Comparer<byte[]>.Create((a, b) => a.AsSpan().SequenceCompareTo(b)));
        _sharedWithPrevious = new int[_ids.Length];
        for (var i = 1; i < _ids.Length; i++) _sharedWithPrevious[i] = _bytes[i].AsSpan().CommonPrefixLength(_bytes[i - 1]);
    }

    /// <summary>Calls back with each token that may follow the state.</summary>
    public void ForEachAllowed(GrammarAutomaton automaton, GrammarState start, Action<int> found)
    {
        var path = new List<GrammarState> { start };           // path[n]: the state after n bytes
        for (var i = 0; i < _ids.Length; i++)
        {
            if (_sharedWithPrevious[i] >= path.Count) continue;          // its beginning is dead already
            path.RemoveRange(_sharedWithPrevious[i] + 1, path.Count - _sharedWithPrevious[i] - 1);
            var bytes = _bytes[i];
            var length = path.Count - 1;
            for (; length < bytes.Length; length++)
            {
                var next = automaton.Step(path[^1], bytes[length]);
                if (next.IsDead) break;
                path.Add(next);
            }
            if (length == bytes.Length) found(_ids[i]);
        }
    }
}
