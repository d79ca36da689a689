using System.Text;

namespace TokenMill.Training.Tokenizer;

/// <summary>
/// Learns byte-pair merges (Sennrich et al. 2016, on bytes as in GPT-2): the most frequent pair of neighbours inside words
/// becomes a token, again and again. Counts are kept per distinct word, and a merge touches only the words that hold the pair,
/// so the work is proportional to what changes. Equal counts are decided by the smaller pair of ids: the same text always
/// gives the same vocabulary.
/// </summary>
public sealed class BytePairTrainer
{
    private readonly Dictionary<string, int> _wordCounts = new(StringComparer.Ordinal);

    public void Add(string text)
    {
        foreach (var word in PreTokenizer.Split(text))
            _wordCounts[word] = _wordCounts.GetValueOrDefault(word) + 1;
    }

    /// <summary>Merges until the vocabulary (special tokens, 256 bytes, merges) has <paramref name="size"/> tokens, or no pair occurs twice.</summary>
    public BytePairTokenizer Train(IReadOnlyList<string> specialTokens, int size, CancellationToken cancellationToken)
    {
        var firstByte = specialTokens.Count;
        var pieces = Enumerable.Range(0, 256).Select(b => ByteAlphabet.Spell([(byte)b])).ToList();
        var ids = pieces.Select((p, id) => (p, id)).ToDictionary(p => p.p, p => p.id, StringComparer.Ordinal);
        var merges = new List<(string Left, string Right)>();
        var changed = new HashSet<(int, int)>();

        // 1. Every distinct word as a list of byte tokens; every pair with its count and the words it occurs in.
        var words = _wordCounts.OrderBy(w => w.Key, StringComparer.Ordinal).ToArray();
        var symbols = words.Select(w => Encoding.UTF8.GetBytes(w.Key).Select(b => (int)b).ToList()).ToArray();
        var counts = new Dictionary<(int, int), long>();
        var places = new Dictionary<(int, int), HashSet<int>>();
        for (var w = 0; w < words.Length; w++)
            for (var i = 0; i + 1 < symbols[w].Count; i++)
                Count(w, (symbols[w][i], symbols[w][i + 1]), words[w].Value);

        // 2. A heap by count; an entry whose count is no longer true is put back with the true one.
        var heap = new PriorityQueue<(int, int), (long, int, int)>();
        foreach (var (pair, count) in counts) Push(pair, count);

        // 3. The best pair becomes a token; the pairs around each of its places change.
        while (firstByte + pieces.Count < size && heap.TryDequeue(out var pair, out var priority))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var count = counts[pair];
            if (-priority.Item1 != count)
            {
                Push(pair, count);
                continue;
            }
            if (count < 2) break;

            var (left, right) = pair;
            var piece = pieces[left] + pieces[right];
            merges.Add((pieces[left], pieces[right]));
            if (!ids.TryGetValue(piece, out var merged))        // "ab"+"c" and "a"+"bc" are one token
            {
                ids[piece] = merged = pieces.Count;
                pieces.Add(piece);
            }
            changed.Clear();
            foreach (var w in places[pair].Order().ToArray())
            {
                var word = symbols[w];
                for (var i = 0; i + 1 < word.Count; i++)
                {
                    if (word[i] != left || word[i + 1] != right) continue;
                    var times = words[w].Value;
                    if (i > 0) { Count(w, (word[i - 1], left), -times); Count(w, (word[i - 1], merged), times); }
                    if (i + 2 < word.Count) { Count(w, (right, word[i + 2]), -times); Count(w, (merged, word[i + 2]), times); }
                    Count(w, pair, -times);
                    word[i] = merged;
                    word.RemoveAt(i + 1);
                }
            }
            foreach (var other in changed)
                if (counts[other] > 0 && (other.Item1 == merged || other.Item2 == merged)) Push(other, counts[other]);
        }
        return new BytePairTokenizer(specialTokens, merges);

        void Count(int word, (int, int) pair, int times)
        {
            counts[pair] = counts.GetValueOrDefault(pair) + times;
            if (times > 0)
            {
                if (!places.TryGetValue(pair, out var set)) places[pair] = set = [];
                set.Add(word);
            }
            changed.Add(pair);
        }

        // A count that grew is pushed anew; a count that shrank is found out when its entry comes up.
        void Push((int Left, int Right) pair, long count) => heap.Enqueue(pair, (-count, pair.Left, pair.Right));
    }
}
