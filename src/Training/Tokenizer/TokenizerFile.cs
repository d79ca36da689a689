using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Training.Tokenizer;

/// <summary>
/// A tokenizer as a GGUF file without weights: what a model trained from random weights starts from. Its keys go into the
/// trained model as they are. Chat markup is the ChatML convention; the end of a turn is the end of generation.
/// </summary>
public static class TokenizerFile
{
    public const string EndOfText = "<|endoftext|>", TurnStart = "<|im_start|>", TurnEnd = "<|im_end|>";

    public static IReadOnlyList<string> SpecialTokens { get; } = [EndOfText, TurnStart, TurnEnd];

    private const int Normal = 1, Control = 3;

    private const string ChatTemplate =
        "{% for message in messages %}" +
        "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}" +
        "{% endfor %}" +
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    public static void Save(BytePairTokenizer tokenizer, string path)
    {
        var writer = new GgufWriter();
        // libllama wants to know an architecture even of a vocabulary.
        writer.Add("general.architecture", "llama");
        writer.Add("tokenizer.ggml.model", "gpt2");
        writer.Add("tokenizer.ggml.pre", PreTokenizer.Name);
        writer.Add("tokenizer.ggml.tokens", tokenizer.Tokens);
        writer.Add("tokenizer.ggml.token_type", [.. tokenizer.Tokens.Select((_, id) => id < tokenizer.SpecialTokens.Count ? Control : Normal)]);
        writer.Add("tokenizer.ggml.merges", [.. tokenizer.Merges.Select(m => $"{m.Left} {m.Right}")]);
        writer.Add("tokenizer.ggml.bos_token_id", Id(EndOfText));
        writer.Add("tokenizer.ggml.eos_token_id", Id(TurnEnd));
        writer.Add("tokenizer.ggml.eot_token_id", Id(TurnEnd));
        writer.Add("tokenizer.ggml.padding_token_id", Id(EndOfText));
        writer.Add("tokenizer.ggml.add_bos_token", false);
        writer.Add("tokenizer.chat_template", ChatTemplate);
        writer.Save(path);

        uint Id(string token) => (uint)tokenizer.SpecialTokens.ToList().IndexOf(token);
    }
}
