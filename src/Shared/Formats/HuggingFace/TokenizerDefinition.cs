using System.Text.Json;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>A token that is cut out of the text before anything else happens to it.</summary>
/// <param name="Special">Markup, not text.</param>
/// <param name="TrimsRight">White space behind it belongs to it.</param>
internal sealed record AddedToken(int Id, string Text, bool Special, bool TrimsRight);

/// <summary>A BPE tokenizer as tokenizer.json and tokenizer_config.json define it.</summary>
internal sealed class TokenizerDefinition
{
    private const int MaxId = 1 << 24;

    private readonly JsonElement _tokenizer, _config;

    /// <exception cref="RefusedException">tokenizer-invalid; tokenizer-unsupported: another model than BPE.</exception>
    public TokenizerDefinition(JsonElement tokenizer, JsonElement config)
    {
        (_tokenizer, _config) = (tokenizer, config);
        var model = Member(tokenizer, "model") ?? throw Invalid("has no model");
        var kind = Text(model, "type") ?? (Member(model, "merges") is null ? "unnamed" : "BPE");
        if (kind != "BPE") throw Unsupported("model.type", $"a tokenizer of the kind {kind}", "BPE, by bytes or with byte fallback, is supported");
        foreach (var name in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
            if (Text(model, name) is { Length: > 0 }) throw Unsupported($"model.{name}", $"BPE with a {name}", "tokenizers of the supported families have none");
        if (Member(model, "vocab") is not { ValueKind: JsonValueKind.Object } vocabulary) throw Invalid("has no vocabulary");
        Vocabulary = vocabulary.EnumerateObject().ToDictionary(t => t.Name, t => Id(t.Value));
        Added = Member(tokenizer, "added_tokens") is { ValueKind: JsonValueKind.Array } added ? [.. added.EnumerateArray().Select(Read)] : [];
        Merges = Member(model, "merges") is { ValueKind: JsonValueKind.Array } merges ? [.. merges.EnumerateArray().Select(Merge)] : throw Invalid("has no merges");
        IgnoresMerges = IsTrue(model, "ignore_merges");
        ByteFallback = IsTrue(model, "byte_fallback");
        UnknownToken = Text(model, "unk_token");
    }

    /// <summary>Tokens that text is made of; the added ones may or may not be among them.</summary>
    public IReadOnlyDictionary<string, int> Vocabulary { get; }
    public IReadOnlyList<AddedToken> Added { get; }

    /// <summary>Pairs that merge, the earliest in the list first.</summary>
    public IReadOnlyList<(string Left, string Right)> Merges { get; }

    /// <summary>A word that is a token is taken whole.</summary>
    public bool IgnoresMerges { get; }

    /// <summary>Characters that are no tokens become tokens of their bytes, spelled &lt;0xXX&gt;.</summary>
    public bool ByteFallback { get; }
    public string? UnknownToken { get; }
    public JsonElement? Normalizer => Member(_tokenizer, "normalizer");
    public JsonElement? PreTokenizer => Member(_tokenizer, "pre_tokenizer");

    /// <summary>Steps of a normalizer or pre-tokenizer, a single one or a sequence.</summary>
    public static IReadOnlyList<JsonElement> Steps(JsonElement? element, string list) =>
        element is not { } one ? [] : Member(one, list) is { ValueKind: JsonValueKind.Array } steps ? [.. steps.EnumerateArray()] : [one];

    /// <summary>The tokens that are put before and after a text, as the post-processor says, or where there is none, tokenizer_config.json.</summary>
    public (string? Before, string? After) Surroundings()
    {
        foreach (var step in Steps(Member(_tokenizer, "post_processor"), "processors"))
        {
            if (Text(step, "type") != "TemplateProcessing" || Member(step, "single") is not { ValueKind: JsonValueKind.Array } single) continue;
            var parts = single.EnumerateArray().ToList();
            string? Special(int index) => Member(parts[index], "SpecialToken") is { } special ? Text(special, "id") : null;
            return parts.Count == 0 ? (null, null) : (Special(0), Special(parts.Count - 1));
        }
        return Member(_tokenizer, "post_processor") is not null ? (null, null)
            : (IsTrue(_config, "add_bos_token") ? NamedToken("bos_token") : null, IsTrue(_config, "add_eos_token") ? NamedToken("eos_token") : null);
    }

    /// <summary>A token that tokenizer_config.json names by its purpose, such as eos_token.</summary>
    public string? NamedToken(string name) => Text(_config, name) ?? (Member(_config, name) is { } token ? Text(token, "content") : null);

    public int? IdOf(string? token) => token is null ? null
        : Added.FirstOrDefault(t => t.Text == token) is { } added ? added.Id
        : Vocabulary.TryGetValue(token, out var id) ? id : null;

    public static JsonElement? Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public static string? Text(JsonElement element, string name) => Member(element, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    public static bool IsTrue(JsonElement element, string name) => Member(element, name) is { ValueKind: JsonValueKind.True };

    public static RefusedException Unsupported(string field, string what, string remedy) =>
        new(new Error("tokenizer-unsupported", $"{HuggingFaceTokenizer.FileName}: {what} cannot be converted", remedy) { Field = field });

    private static AddedToken Read(JsonElement token) => new(
        Id(Member(token, "id") ?? throw Invalid("has an added token without an id")), Text(token, "content") ?? throw Invalid("has an added token without content"),
        IsTrue(token, "special"), IsTrue(token, "rstrip"));

    // "a b", or ["a", "b"]
    private static (string, string) Merge(JsonElement merge)
    {
        if (merge.ValueKind == JsonValueKind.String && merge.GetString()!.Split(' ') is [{ Length: > 0 } left, { Length: > 0 } right]) return (left, right);
        if (merge.ValueKind == JsonValueKind.Array && merge.GetArrayLength() == 2 && merge[0].ValueKind == JsonValueKind.String && merge[1].ValueKind == JsonValueKind.String)
            return (merge[0].GetString()!, merge[1].GetString()!);
        throw Invalid("has a merge that is no pair");
    }

    private static int Id(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var id) && id is >= 0 and < MaxId ? id : throw Invalid("has a token without a proper id");

    private static RefusedException Invalid(string what) =>
        new(new Error("tokenizer-invalid", $"{HuggingFaceTokenizer.FileName} {what}", "fetch tokenizer.json again") { Field = HuggingFaceTokenizer.FileName });
}
