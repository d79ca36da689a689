using TokenMill.Shared.Formats.Gguf;
using TokenMill.Testing;

namespace TokenMill.EndToEnd.Tests.Portal;

/// <summary>
/// The starter model under other names for its ends and with a longer context: the engine knows no token that ends a turn, so an
/// answer lasts until its most tokens. The starter's own answers end within milliseconds, too soon to be interrupted by a person.
/// </summary>
internal static class EndlessModel
{
    private const uint ContextTokens = 8192, NeverSaid = 3;   // a byte that no text has

    public static void Write(string path)
    {
        using var starter = GgufFile.Open(Path.Combine(Reference.Repository, "models", "starter", "starter.gguf"));
        var metadata = starter.Metadata;
        var writer = new GgufWriter();
        writer.CopyPairs(metadata);
        writer.Remove("tokenizer.ggml.eot_token_id");
        writer.Add("tokenizer.ggml.eos_token_id", NeverSaid);
        writer.Add("tokenizer.ggml.tokens", [.. metadata.Strings("tokenizer.ggml.tokens").Select(Renamed)]);
        writer.Add("tokenizer.chat_template", Renamed(metadata.String("tokenizer.chat_template")));
        writer.Add("llama.context_length", ContextTokens);
        foreach (var tensor in starter.Tensors)
        {
            writer.AddTensor(tensor.Name, tensor.Dimensions, tensor.Type, stream =>
            {
                var bytes = new byte[tensor.SizeBytes];
                starter.ReadBytes(tensor, bytes);
                stream.Write(bytes);
            });
        }
        writer.Save(path);
    }

    private static string Renamed(string text) => text.Replace("<|im_end|>", "<|im_over|>", StringComparison.Ordinal).Replace("<|endoftext|>", "<|text_over|>", StringComparison.Ordinal);
}
