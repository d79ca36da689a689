using System.Text.Json;
using System.Text.Json.Nodes;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>
/// Where a tokenizer puts a space of its own: nowhere, before a text, before each piece of it that lies behind a special token
/// as well, or before each of these that does not begin with one.
/// </summary>
internal enum SpacePrefix { None, TextOnly, EveryPiece, WhereMissing }

/// <summary>
/// BPE over characters as SentencePiece makes it. Its own files give each token a score, and the neighbours whose token has
/// the best score merge first; tokenizer.json lists the merges in that order instead. The n-th token that appears as the
/// result of a merge had the n-th best score, so that scores come back from the order.
/// </summary>
internal static class SentencePiece
{
    private const string Space = "▁";

    public static float[] Scores(TokenizerDefinition tokenizer, string[] tokens, int[] types)
    {
        const int normal = 1;
        var ids = tokenizer.Vocabulary;
        var scores = new float[tokens.Length];
        var scored = new bool[tokens.Length];
        var next = 0;
        foreach (var (left, right) in tokenizer.Merges)
        {
            if (!ids.TryGetValue(left + right, out var id) || scored[id]) continue;
            (scores[id], scored[id]) = (-next++, true);
        }
        // Characters and what no merge makes come behind, in the order of their ids.
        for (var id = 0; id < tokens.Length; id++)
            if (types[id] == normal && !scored[id]) scores[id] = -next++;
        return scores;
    }

    /// <summary>The way back: each token's parts that are tokens too, in the order of its score.</summary>
    public static IEnumerable<(string Left, string Right)> Merges(string[] tokens, int[] types, float[] scores)
    {
        const int normal = 1;
        var ids = new Dictionary<string, int>();
        for (var id = 0; id < tokens.Length; id++)
            if (types[id] == normal) ids.TryAdd(tokens[id], id);
        foreach (var (token, _) in ids.OrderByDescending(t => scores[t.Value]))
            foreach (var merge in Cuts(token).Where(c => ids.ContainsKey(c.Left) && ids.ContainsKey(c.Right)).OrderBy(c => ids[c.Left]).ThenBy(c => ids[c.Right])) yield return merge;
    }

    public static JsonObject Normalizer(bool prefix)
    {
        var escape = new JsonObject { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = " " }, ["content"] = Space };
        return prefix ? new JsonObject { ["type"] = "Sequence", ["normalizers"] = new JsonArray(new JsonObject { ["type"] = "Prepend", ["prepend"] = Space }, escape) } : escape;
    }

    public static JsonObject Decoder(bool prefix)
    {
        var decoders = new JsonArray(
            new JsonObject { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = Space }, ["content"] = " " },
            new JsonObject { ["type"] = "ByteFallback" },
            new JsonObject { ["type"] = "Fuse" });
        if (prefix) decoders.Add(new JsonObject { ["type"] = "Strip", ["content"] = " ", ["start"] = 1, ["stop"] = 0 });
        return new JsonObject { ["type"] = "Sequence", ["decoders"] = decoders };
    }

    /// <summary>Two tokens whose joined text is a token although no merge joins them; null where there are none, as in what SentencePiece itself made.</summary>
    public static (string Left, string Right)? FirstUnlisted(TokenizerDefinition tokenizer, int[] types)
    {
        const int normal = 1;
        var ids = tokenizer.Vocabulary;
        var merges = tokenizer.Merges.ToHashSet();
        var made = tokenizer.Merges.Select(m => m.Left + m.Right).ToHashSet();
        foreach (var (left, right) in made.SelectMany(Cuts))
            if (ids.TryGetValue(left, out var l) && ids.TryGetValue(right, out var r) && types[l] == normal && types[r] == normal && !merges.Contains((left, right))) return (left, right);
        return null;
    }

    private static IEnumerable<(string Left, string Right)> Cuts(string token) =>
        Enumerable.Range(1, token.Length - 1).Where(i => !char.IsLowSurrogate(token[i])).Select(i => (token[..i], token[i..]));

    /// <exception cref="Domain.RefusedException">tokenizer-unsupported: rules other than spaces written as ▁ and a space put in front.</exception>
    public static SpacePrefix PrefixOf(TokenizerDefinition tokenizer)
    {
        var prefix = SpacePrefix.None;
        var escapes = false;
        foreach (var step in TokenizerDefinition.Steps(tokenizer.Normalizer, "normalizers"))
            switch (TokenizerDefinition.Text(step, "type"))
            {
                case "Prepend" when TokenizerDefinition.Text(step, "prepend") == Space: prefix = SpacePrefix.EveryPiece; break;
                case "Replace" when IsSpaceTo(step): escapes = true; break;
                case var type: throw TokenizerDefinition.Unsupported("normalizer", $"the normalizer {type}", "spaces written as ▁, and a ▁ put in front, are supported");
            }
        foreach (var step in TokenizerDefinition.Steps(tokenizer.PreTokenizer, "pretokenizers"))
            switch (TokenizerDefinition.Text(step, "type"))
            {
                case "Metaspace" when (TokenizerDefinition.Text(step, "replacement") ?? Space) == Space && (!Splits(step) || NoTokenCrossesSpaces(tokenizer)):
                    escapes = true;
                    prefix = TokenizerDefinition.Text(step, "prepend_scheme") switch
                    {
                        "never" => prefix,
                        "first" => SpacePrefix.TextOnly,
                        "always" => SpacePrefix.WhereMissing,
                        _ => TokenizerDefinition.Member(step, "add_prefix_space") is { ValueKind: JsonValueKind.False } ? prefix : SpacePrefix.WhereMissing,
                    };
                    break;
                // Gemma's: text is cut at spaces of which none is left, since they are ▁ by then.
                case "Split" when escapes && TokenizerDefinition.Member(step, "pattern") is { } pattern && TokenizerDefinition.Text(pattern, "String") == " ": break;
                case var type: throw TokenizerDefinition.Unsupported("pre_tokenizer", $"the pre-tokenizer {type} with BPE over characters", "Metaspace is supported, where it does not split or no token crosses a space");
            }
        return escapes ? prefix : throw TokenizerDefinition.Unsupported("normalizer", "BPE over characters that does not write spaces as ▁", "tokenizers that SentencePiece made are supported");
    }

    // libllama does not cut at spaces; where no token has one but at its beginning, that makes no difference.
    private static bool NoTokenCrossesSpaces(TokenizerDefinition tokenizer) => tokenizer.Vocabulary.Keys.All(token => token.LastIndexOf(Space, StringComparison.Ordinal) <= 0);

    private static bool Splits(JsonElement metaspace) => TokenizerDefinition.Member(metaspace, "split") is not { ValueKind: JsonValueKind.False };

    private static bool IsSpaceTo(JsonElement step) =>
        TokenizerDefinition.Text(step, "content") == Space && TokenizerDefinition.Member(step, "pattern") is { } pattern && TokenizerDefinition.Text(pattern, "String") == " ";
}
