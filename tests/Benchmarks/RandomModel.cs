using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Benchmarks;

/// <summary>A model of about a billion weights (16 layers of 2048) in Q4_0, its numbers random, with the tokenizer of another: for cost, not for sense.</summary>
internal static class RandomModel
{
    private const int Hidden = 2048, Intermediate = 8192, Layers = 16, Heads = 32, KeyValueHeads = 8, Context = 8192;
    private const int BlockElements = 32, BlockBytes = 18;

    public static string Write(string path, string tokenizer)
    {
        using var source = GgufFile.Open(tokenizer);
        var vocabulary = (int)source.Metadata.Count("tokenizer.ggml.tokens")!;
        var writer = new GgufWriter();
        writer.Add("general.architecture", "llama");
        writer.Add("general.type", "model");
        writer.Add("general.name", "random 1B");
        foreach (var (key, value) in new[]
        {
            ("block_count", Layers), ("context_length", Context), ("embedding_length", Hidden), ("feed_forward_length", Intermediate), ("attention.head_count", Heads),
            ("attention.head_count_kv", KeyValueHeads), ("rope.dimension_count", Hidden / Heads), ("vocab_size", vocabulary),
        }) writer.Add($"llama.{key}", (uint)value);
        writer.Add("llama.rope.freq_base", 10_000f);
        writer.Add("llama.attention.layer_norm_rms_epsilon", 1e-5f);
        writer.Add("general.file_type", 2u);
        writer.CopyPairs(source.Metadata, key => key.StartsWith("tokenizer.", StringComparison.Ordinal));

        var (kv, random) = (Hidden / Heads * KeyValueHeads, new Random(1));
        void Matrix(string name, int inputs, int outputs) => writer.AddTensor(name + ".weight", [inputs, outputs], GgufType.Q4_0, stream => Blocks(stream, (long)inputs * outputs, random));
        void Norm(string name) => writer.AddTensor(name + ".weight", [Hidden], GgufType.F32, stream => { for (var i = 0; i < Hidden; i++) stream.Write(BitConverter.GetBytes(1f)); });
        Matrix("token_embd", Hidden, vocabulary);
        Norm("output_norm");
        for (var layer = 0; layer < Layers; layer++)
        {
            Norm($"blk.{layer}.attn_norm");
            Matrix($"blk.{layer}.attn_q", Hidden, Hidden);
            Matrix($"blk.{layer}.attn_k", Hidden, kv);
            Matrix($"blk.{layer}.attn_v", Hidden, kv);
            Matrix($"blk.{layer}.attn_output", Hidden, Hidden);
            Norm($"blk.{layer}.ffn_norm");
            Matrix($"blk.{layer}.ffn_gate", Hidden, Intermediate);
            Matrix($"blk.{layer}.ffn_up", Hidden, Intermediate);
            Matrix($"blk.{layer}.ffn_down", Intermediate, Hidden);
        }
        writer.Save(path);
        return path;
    }

    /// <summary>Blocks of 32: a scale (f16) and random nibbles, which stand for −8…7 times the scale.</summary>
    private static void Blocks(Stream stream, long elements, Random random)
    {
        var scale = BitConverter.GetBytes((Half)0.004f);
        const int blocksAtOnce = 1 << 12;
        var buffer = new byte[blocksAtOnce * BlockBytes];
        for (var left = elements / BlockElements; left > 0;)
        {
            var blocks = (int)Math.Min(blocksAtOnce, left);
            random.NextBytes(buffer);
            for (var block = 0; block < blocks; block++) scale.CopyTo(buffer.AsSpan(block * BlockBytes));
            stream.Write(buffer, 0, blocks * BlockBytes);
            left -= blocks;
        }
    }
}
