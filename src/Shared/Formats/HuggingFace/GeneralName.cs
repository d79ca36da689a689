namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>
/// general.name is more than a label: where it contains phi-3 or phi3, libllama takes white space behind special tokens as
/// theirs and demands four tokens by name. So the name says it exactly where the tokenizer is like that.
/// </summary>
public static class GeneralName
{
    private static readonly string[] Demanded = ["</s>", "<s>", "<unk>", "<|endoftext|>"];

    internal static string Of(string name, TokenizerDefinition tokenizer)
    {
        var plain = Neutral(name);
        var trims = tokenizer.Added.Any(t => t.TrimsRight && t.Special && !Demanded.Contains(t.Text)) && Demanded.All(t => tokenizer.IdOf(t) is not null);
        return !trims ? plain : plain == name ? $"{name} (phi-3)" : name;
    }

    /// <summary>Whether libllama takes the white space behind a special token as the token's, in a model of this name.</summary>
    internal static bool TrimsBehind(string? name, string token) => 
        name is not null && Neutral(name) != name && token is not ("<s>" or "<unk>" or "<|endoftext|>");

    public static string Neutral(string name) => name.Replace("phi-3", "phi 3", StringComparison.OrdinalIgnoreCase).Replace("phi3", "phi 3", StringComparison.OrdinalIgnoreCase);
}
