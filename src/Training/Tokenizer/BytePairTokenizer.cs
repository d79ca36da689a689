using System.Text;

namespace TokenMill.Training.Tokenizer;

/// <summary>
/// A byte-level BPE vocabulary: special tokens first, then the 256 bytes, then what the merges make, in the order learned.
/// Encodes as llama.cpp does: the earliest learned merge first, the leftmost place first.
/// </summary>
public sealed class BytePairTokenizer
{
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly Dictionary<(string, string), int> _ranks = [];
    private readonly Dictionary<string, int[]> _words = new(StringComparer.Ordinal);

    public BytePairTokenizer(IReadOnlyList<string> specialTokens, IReadOnlyList<(string Left, string Right)> merges)
    {
        SpecialTokens = specialTokens;
        Merges = merges;
        Tokens =
        [
            .. specialTokens,
            .. Enumerable.Range(0, 256).Select(b => ByteAlphabet.Spell([(byte)b])),
            .. merges.Select(m => m.Left + m.Right).Distinct(StringComparer.Ordinal),
        ];
        for (var id = 0; id < Tokens.Count; id++) _ids.Add(Tokens[id], id);
        for (var rank = 0; rank < merges.Count; rank++) _ranks.TryAdd(merges[rank], rank);
    }

    public IReadOnlyList<string> SpecialTokens { get; }
    public IReadOnlyList<string> Tokens { get; }
    public IReadOnlyList<(string Left, string Right)> Merges { get; }

    /// <summary>Token ids of a text; special tokens in it are recognised.</summary>
    public int[] Encode(string text)
    {
        var ids = new List<int>();
        while (text.Length > 0)
        {
            var (index, special) = NextSpecial(text);
            foreach (var word in PreTokenizer.Split(text[..index])) ids.AddRange(EncodeWord(word));
            if (special is null) break;
            ids.Add(_ids[special]);
            text = text[(index + special.Length)..];
        }
        return [.. ids];
    }

    public string Decode(IEnumerable<int> ids)
    {
        var bytes = new List<byte>();
        foreach (var id in ids)
            bytes.AddRange(id < SpecialTokens.Count ? Encoding.UTF8.GetBytes(Tokens[id]) : ByteAlphabet.Read(Tokens[id]));
        return Encoding.UTF8.GetString([.. bytes]);
    }

    private (int Index, string? Special) NextSpecial(string text)
    {
        var best = (Index: text.Length, Special: (string?)null);
        foreach (var special in SpecialTokens)
        {
            var index = text.IndexOf(special, StringComparison.Ordinal);
            if (index >= 0 && index < best.Index) best = (index, special);
        }
        return best;
    }

    private int[] EncodeWord(string word)
    {
        if (_words.TryGetValue(word, out var known)) return known;
        var parts = Encoding.UTF8.GetBytes(word).Select(b => ByteAlphabet.Spell([b])).ToList();
        while (parts.Count > 1)
        {
            var (place, best) = (-1, int.MaxValue);
            for (var i = 0; i + 1 < parts.Count; i++)
                if (_ranks.TryGetValue((parts[i], parts[i + 1]), out var rank) && rank < best) (place, best) = (i, rank);
            if (place < 0) break;
            parts[place] += parts[place + 1];
            parts.RemoveAt(place + 1);
        }
        return _words[word] = [.. parts.Select(p => _ids[p])];
    }
}
