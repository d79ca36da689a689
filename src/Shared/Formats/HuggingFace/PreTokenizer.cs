using System.Text.Json;
using System.Text.Json.Nodes;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>
/// How a byte-level BPE tokenizer cuts text before it merges: the name llama.cpp has for it (tokenizer.ggml.pre) and the
/// same rules in tokenizer.json. Only those whose rules are known to be the same on both sides are listed.
/// </summary>
internal sealed record PreTokenizer(string Name)
{
    private const string Contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";

    // Words, and numbers in groups of three digits.
    private const string Words3 = Contractions + @"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>The expression that text is split by; null where GPT-2's own is used, which tokenizer.json spells use_regex.</summary>
    public string? Pattern { get; private init; }

    /// <summary>Every digit is a word of its own, before anything else.</summary>
    public bool SeparateDigits { get; private init; }

    /// <summary>Text is put into Unicode's composed form first (llama.cpp does not do this).</summary>
    public bool Composes { get; private init; }

    /// <summary>A word that is a token is taken whole, without going through the merges.</summary>
    public bool IgnoresMerges { get; private init; }

    /// <summary>llama.cpp adds the beginning-of-sequence token unless the file says otherwise.</summary>
    public bool AddsBos { get; private init; }

    private static readonly PreTokenizer[] All =
    [
        new("smollm") { SeparateDigits = true },
        new("gpt-2"),
        new("qwen2") { Composes = true, Pattern = Contractions + @"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+" },
        new("dbrx") { Pattern = Words3 },
        new("llama-bpe") { IgnoresMerges = true, AddsBos = true, Pattern = Words3 },
        new("tekken")
        {
            IgnoresMerges = true,
            AddsBos = true,
            Pattern = @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        },
        new("gpt-4o")
        {
            Pattern = @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + Contractions + @"?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + Contractions + @"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        },
    ];

    // Other names llama.cpp gives to the same rules.
    private static readonly Dictionary<string, string> Aliases = new()
    {
        ["llama3"] = "llama-bpe", ["llama-v3"] = "llama-bpe", ["phi-2"] = "gpt-2", ["starcoder"] = "smollm", ["refact"] = "smollm", ["megrez"] = "qwen2", ["smaug-bpe"] = "dbrx",
    };

    public static IEnumerable<string> Names => All.Select(p => p.Name);

    public static PreTokenizer? ByName(string name) => All.FirstOrDefault(p => p.Name == Aliases.GetValueOrDefault(name, name));

    /// <summary>
    /// Recognises the rules of a tokenizer.json; null if they are none of those listed. Where two names differ only in taking
    /// known words whole, that decides; else it makes no difference that matters.
    /// </summary>
    public static PreTokenizer? Recognise(JsonElement preTokenizer, bool ignoresMerges)
    {
        var steps = TokenizerDefinition.Steps(preTokenizer, "pretokenizers");
        var digits = steps.Any(s => Text(s, "type") == "Digits" && Property(s, "individual_digits") is { ValueKind: JsonValueKind.True });
        var splits = steps.Where(s => Text(s, "type") == "Split").ToList();
        var byteLevel = steps.FirstOrDefault(s => Text(s, "type") == "ByteLevel");
        if (byteLevel.ValueKind != JsonValueKind.Object || Property(byteLevel, "add_prefix_space") is { ValueKind: JsonValueKind.True }) return null;
        if (splits.Count > 1 || steps.Count != splits.Count + (digits ? 1 : 0) + 1 || !splits.TrueForAll(KeepsPieces)) return null;
        // Text is split once: by the expression given, or by ByteLevel's own.
        var ownExpression = Property(byteLevel, "use_regex") is not { ValueKind: JsonValueKind.False };
        if (ownExpression == splits.Count > 0) return null;
        var pattern = splits.Count == 0 ? null : Property(splits[0], "pattern") is { } p ? Text(p, "Regex") : null;
        if (splits.Count > 0 && pattern is null) return null;
        var same = All.Where(known => known.SeparateDigits == digits && known.Pattern == pattern).ToList();
        return same.Find(known => known.IgnoresMerges == ignoresMerges) ?? same.FirstOrDefault();
    }

    // Two spellings of cutting a text into what the expression matches: isolate the matches, or remove what lies between.
    private static bool KeepsPieces(JsonElement split) =>
        (Text(split, "behavior"), Property(split, "invert")?.ValueKind == JsonValueKind.True) is ("Isolated", _) or ("Removed", true);

    public JsonNode ToJson()
    {
        var byteLevel = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = Pattern is null, ["use_regex"] = Pattern is null };
        if (SeparateDigits) return Sequence(new JsonObject { ["type"] = "Digits", ["individual_digits"] = true }, byteLevel);
        if (Pattern is null) return byteLevel;
        return Sequence(new JsonObject { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = Pattern }, ["behavior"] = "Isolated", ["invert"] = false }, byteLevel);

        static JsonObject Sequence(params JsonNode[] steps) => new() { ["type"] = "Sequence", ["pretokenizers"] = new JsonArray(steps) };
    }

    private static JsonElement? Property(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) ? value : null;

    private static string? Text(JsonElement element, string name) => Property(element, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;
}
