using System.Buffers.Binary;
using System.Globalization;
using System.Text.Json.Nodes;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Jobs;

namespace TokenMill.Benchmarks;

/// <summary>QLoRA of a model in the shape of Llama 3.2 1B with random quantised weights: does a step fit, and how long does it take?</summary>
internal static class OneBillion
{
    private const int Hidden = 2048, Intermediate = 8192, Layers = 16, Heads = 32, KeyValueHeads = 8, HeadDim = 64, Vocabulary = 128_256, RowLength = 512;

    public static async Task RunAsync(string tokenizer, string type, int steps, string folder)
    {
        var weights = type switch { "Q4_0" => GgufType.Q4_0, "Q4_K" => GgufType.Q4_K, _ => throw new UsageException($"--type is Q4_0 or Q4_K, not {type}") };
        var model = Path.Combine(folder, "one-billion.gguf");
        Write(model, tokenizer, weights);
        var rows = Path.Combine(folder, "rows.jsonl");
        var random = new Random(0);
        File.WriteAllLines(rows, Enumerable.Range(0, steps).Select(_ => string.Join(',', Enumerable.Range(0, RowLength).Select(_ => random.Next(Vocabulary)))).Select(ids => $$"""{"ids":[{{ids}}],"labels":[{{ids}}]}"""));
        var measured = await TrainerProcessRun.RunAsync(new FineTuneSpec
        {
            Model = JsonValue.Create(model), Output = Path.Combine(folder, "run"), Data = [new DataSpec { Path = rows, Format = "tokens" }],
            Adapter = new AdapterSpec { Type = "qlora", Rank = 8, Alpha = 16 }, MaxLength = RowLength, BatchSize = 1, Accumulation = 1, MaxSteps = steps,
            Checkpoint = new CheckpointSpec { EverySeconds = 3600 }, Export = [],
        });
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"1B shape, {type}, {new FileInfo(model).Length / 1e9:0.00} GB of weights, rows of {RowLength}: {measured.TokensPerSecond:0} tokens/s, peak {measured.PeakBytes / 1e9:0.00} GB"));
    }

    private static void Write(string path, string tokenizer, GgufType type)
    {
        using var from = GgufFile.Open(tokenizer);
        var writer = new GgufWriter();
        writer.CopyPairs(from.Metadata, key => key.StartsWith("tokenizer.", StringComparison.Ordinal));
        var tokens = from.Metadata.Strings("tokenizer.ggml.tokens").ToList();
        var kinds = from.Metadata.TryInt32s("tokenizer.ggml.token_type")!.ToList();
        while (tokens.Count < Vocabulary) { tokens.Add($"[unused{tokens.Count}]"); kinds.Add(5); }
        writer.Add("tokenizer.ggml.tokens", tokens);
        writer.Add("tokenizer.ggml.token_type", kinds.ToArray());
        writer.Add("general.architecture", "llama");
        writer.Add("llama.block_count", (uint)Layers);
        writer.Add("llama.context_length", 8192u);
        writer.Add("llama.embedding_length", (uint)Hidden);
        writer.Add("llama.feed_forward_length", (uint)Intermediate);
        writer.Add("llama.attention.head_count", (uint)Heads);
        writer.Add("llama.attention.head_count_kv", (uint)KeyValueHeads);
        writer.Add("llama.attention.layer_norm_rms_epsilon", 1e-5f);
        writer.Add("llama.rope.freq_base", 500_000f);
        writer.Add("llama.rope.dimension_count", (uint)HeadDim);
        writer.Add("llama.vocab_size", (uint)Vocabulary);
        void Matrix(string name, long inputs, long outputs) => writer.AddTensor(name, [inputs, outputs], type, stream => RandomBlocks(stream, type, inputs * outputs));
        void Norm(string name) => writer.AddTensor(name, [Hidden], Enumerable.Repeat(1f, Hidden).ToArray());
        Matrix("token_embd.weight", Hidden, Vocabulary);
        Norm("output_norm.weight");
        for (var layer = 0; layer < Layers; layer++)
        {
            var block = $"blk.{layer}";
            Norm($"{block}.attn_norm.weight");
            Matrix($"{block}.attn_q.weight", Hidden, Heads * HeadDim);
            Matrix($"{block}.attn_k.weight", Hidden, KeyValueHeads * HeadDim);
            Matrix($"{block}.attn_v.weight", Hidden, KeyValueHeads * HeadDim);
            Matrix($"{block}.attn_output.weight", Heads * HeadDim, Hidden);
            Norm($"{block}.ffn_norm.weight");
            Matrix($"{block}.ffn_gate.weight", Hidden, Intermediate);
            Matrix($"{block}.ffn_up.weight", Hidden, Intermediate);
            Matrix($"{block}.ffn_down.weight", Intermediate, Hidden);
        }
        writer.Save(path);
    }

    /// <summary>Any bytes are a valid block but for its halves: these give weights around 0 with a deviation near 0.02.</summary>
    private static void RandomBlocks(Stream stream, GgufType type, long elements)
    {
        var (blockElements, blockBytes) = type.Block();
        var buffer = new byte[blockBytes * 4096];
        Random.Shared.NextBytes(buffer);
        for (var block = 0; block < buffer.Length; block += blockBytes)
        {
            BinaryPrimitives.WriteHalfLittleEndian(buffer.AsSpan(block), (Half)(type == GgufType.Q4_0 ? 0.004 : 1e-4));
            if (type == GgufType.Q4_K) BinaryPrimitives.WriteHalfLittleEndian(buffer.AsSpan(block + 2), (Half)7.5e-4);
        }
        for (var left = elements / blockElements * blockBytes; left > 0; left -= buffer.Length) stream.Write(buffer.AsSpan(0, (int)Math.Min(left, buffer.Length)));
    }
}
