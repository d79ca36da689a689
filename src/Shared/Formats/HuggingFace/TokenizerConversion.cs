using System.Text.Json;
using System.Text.RegularExpressions;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>
/// A tokenizer of Hugging Face as the tables of GGUF. Two kinds of BPE are known: over bytes (GPT-2's and its successors),
/// whose way of cutting text into words llama.cpp knows by name; and over characters with byte fallback, as SentencePiece
/// makes it (Llama 2, Gemma), where libllama merges the neighbours whose token has the best score.
/// </summary>
internal static partial class TokenizerConversion
{
    private const int Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6;

    /// <param name="size">Rows of the embedding; ids without a token become placeholders.</param>
    /// <param name="endIds">Ids at which an answer ends, as config.json and generation_config.json list them.</param>
    /// <exception cref="RefusedException">tokenizer-unsupported: rules that GGUF has no word for.</exception>
    public static void Write(TokenizerDefinition tokenizer, int size, IReadOnlyList<int> endIds, Func<string, long?> configId, GgufWriter writer, ICollection<ModelFinding> warnings)
    {
        var byBytes = TokenizerDefinition.Steps(tokenizer.PreTokenizer, "pretokenizers").Any(step => TokenizerDefinition.Text(step, "type") == "ByteLevel");
        var (tokens, types) = Tables(tokenizer, size, sentencePiece: !byBytes, warnings);
        if (byBytes) WriteByteLevel(tokenizer, writer);
        else WriteSentencePiece(tokenizer, tokens, types, writer, warnings);
        writer.Add("tokenizer.ggml.tokens", tokens);
        writer.Add("tokenizer.ggml.token_type", types);
        writer.Add("tokenizer.ggml.merges", [.. tokenizer.Merges.Select(m => $"{m.Left} {m.Right}")]);
        WriteSpecialTokens(tokenizer, size, endIds, configId, tokens, writer);
    }

    private static (string[] Tokens, int[] Types) Tables(TokenizerDefinition tokenizer, int size, bool sentencePiece, ICollection<ModelFinding> warnings)
    {
        var tokens = new string[size];
        var types = new int[size];
        Array.Fill(types, Unused);
        foreach (var (text, id) in tokenizer.Vocabulary)
        {
            if (id >= size) throw TokenizerDefinition.Unsupported("model.vocab", $"token {id} of a model with {size} embeddings", "the tokenizer belongs to another model: fetch both again");
            tokens[id] = text;
            types[id] = sentencePiece && text == tokenizer.UnknownToken ? Unknown : sentencePiece && ByteToken().IsMatch(text) ? Byte : Normal;
        }
        foreach (var added in tokenizer.Added)
        {
            if (added.Id >= size)
            {
                warnings.Add(new ModelFinding("added_tokens", "token-without-embedding", $"the added token {added.Text} has the id {added.Id}, the model {size} embeddings; it is left out"));
                continue;
            }
            // With SentencePiece's merges a run of spaces is found anyway, and as text it is shown as spaces.
            if (sentencePiece && !added.Special && added.Text.Contains('▁', StringComparison.Ordinal) && tokenizer.Vocabulary.ContainsKey(added.Text)) continue;
            tokens[added.Id] = added.Text;
            if (sentencePiece && added.Text == tokenizer.UnknownToken) types[added.Id] = Unknown;
            else types[added.Id] = added.Special || LooksLikeMarkup(added.Text) ? Control : UserDefined;
        }
        for (var id = 0; id < size; id++) tokens[id] ??= $"[PAD{id}]";
        return (tokens, types);
    }

    private static void WriteByteLevel(TokenizerDefinition tokenizer, GgufWriter writer)
    {
        var pre = PreTokenizer.Recognise(tokenizer.PreTokenizer!.Value, tokenizer.IgnoresMerges)
            ?? throw TokenizerDefinition.Unsupported("pre_tokenizer", "a way of cutting text into words that is not known here", $"known are those llama.cpp calls {string.Join(", ", PreTokenizer.Names)}");
        foreach (var step in TokenizerDefinition.Steps(tokenizer.Normalizer, "normalizers"))
            if (TokenizerDefinition.Text(step, "type") is var type && type != "NFC")
                throw TokenizerDefinition.Unsupported("normalizer", $"the normalizer {type}", "NFC is possible with byte-level BPE");
        writer.Add("tokenizer.ggml.model", "gpt2");
        writer.Add("tokenizer.ggml.pre", pre.Name);
    }

    private static void WriteSentencePiece(TokenizerDefinition tokenizer, string[] tokens, int[] types, GgufWriter writer, ICollection<ModelFinding> warnings)
    {
        if (!tokenizer.ByteFallback) throw TokenizerDefinition.Unsupported("model.byte_fallback", "BPE over characters without byte fallback", "BPE by bytes, or with byte fallback, is supported");
        writer.Add("tokenizer.ggml.model", "llama");
        writer.Add("tokenizer.ggml.pre", "default");
        writer.Add("tokenizer.ggml.scores", SentencePiece.Scores(tokenizer, tokens, types));
        var prefix = SentencePiece.PrefixOf(tokenizer);
        // libllama puts a space before a text and behind every special token, or nowhere. Chat begins with special tokens, so it decides.
        writer.Add("tokenizer.ggml.add_space_prefix", prefix is SpacePrefix.EveryPiece or SpacePrefix.WhereMissing);
        if (prefix == SpacePrefix.TextOnly)
            warnings.Add(new ModelFinding("pre_tokenizer", "space-prefix", "the tokenizer puts a space before plain text but not behind special tokens; GGUF cannot say this, so plain text begins without it, chat is the same"));
        if (prefix == SpacePrefix.WhereMissing)
            warnings.Add(new ModelFinding("pre_tokenizer", "space-prefix", "the tokenizer puts a space where a text does not begin with one; GGUF cannot say this, so a text that does begins with two"));
        if (SentencePiece.FirstUnlisted(tokenizer, types) is var (left, right))
            warnings.Add(new ModelFinding("model.merges", "merges-incomplete", $"'{left}' and '{right}' make a token but are no merge; libllama merges them, so some words may be cut otherwise"));
    }

    private static void WriteSpecialTokens(TokenizerDefinition tokenizer, int size, IReadOnlyList<int> endIds, Func<string, long?> configId, string[] tokens, GgufWriter writer)
    {
        int? Find(string name) => tokenizer.IdOf(tokenizer.NamedToken($"{name}_token")) ?? (name == "unk" ? tokenizer.IdOf(tokenizer.UnknownToken) : (int?)configId($"{name}_token_id"));
        void Add(string key, int? id)
        {
            if (id is { } known && known < size) writer.Add($"tokenizer.ggml.{key}_token_id", (uint)known);
        }
        var (before, after) = tokenizer.Surroundings();
        var end = Find("eos") ?? endIds.Cast<int?>().FirstOrDefault();
        Add("bos", before is null ? Find("bos") : tokenizer.IdOf(before));
        Add("eos", end);
        Add("unknown", Find("unk"));
        Add("padding", Find("pad"));
        // libllama knows the common ends of a turn by their text; others are named to it.
        var others = endIds.Where(id => id != end && id < size && !KnownEnds.Contains(tokens[id])).Take(2).ToList();
        if (others.Count > 0) Add("eot", others[0]);
        if (others.Count > 1) Add("eom", others[1]);
        writer.Add("tokenizer.ggml.add_bos_token", before is not null);
        writer.Add("tokenizer.ggml.add_eos_token", after is not null);
    }

    /// <summary>Markup that libllama takes for the end of an answer by its text.</summary>
    internal static readonly HashSet<string> KnownEnds =
        ["<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<end_of_turn>", "<|endoftext|>", "<|eom_id|>", "<EOT>", "<|end_of_text|>", "<|EOT|>", "<end_of_utterance>"];

    // Publishers forget to call some markup special; llama.cpp's converter knows it by its look, too.
    private static bool LooksLikeMarkup(string text) => text is "<pad>" or "<mask>" or "[@BOS@]" || Markup().IsMatch(text);

    [GeneratedRegex(@"^(<\|.*\|>|<｜.*｜>|<unused\d+>)$", RegexOptions.Singleline)]
    private static partial Regex Markup();

    [GeneratedRegex("^<0x[0-9A-F]{2}>$")]
    private static partial Regex ByteToken();
}
