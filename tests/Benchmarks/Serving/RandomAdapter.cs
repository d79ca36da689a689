using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Benchmarks.Serving;

/// <summary>A LoRA adapter of small random weights on every matrix of a model's layers: for cost, not for sense.</summary>
internal static class RandomAdapter
{
    private const int Rank = 8;

    public static string Write(string path, string model, int seed)
    {
        using var source = GgufFile.Open(model);
        var (writer, random) = (new GgufWriter(), new Random(seed));
        writer.Add("general.type", "adapter");
        writer.Add("general.architecture", source.Metadata.String("general.architecture"));
        writer.Add("adapter.type", "lora");
        writer.Add(GgufAdapter.AlphaKey, (float)Rank);
        foreach (var tensor in source.Tensors.Where(t => t.Dimensions.Count == 2 && t.Name.StartsWith("blk.", StringComparison.Ordinal)))
        {
            writer.AddTensor(tensor.Name + ".lora_a", [tensor.Dimensions[0], Rank], Weights(random, tensor.Dimensions[0] * Rank));
            writer.AddTensor(tensor.Name + ".lora_b", [Rank, tensor.Dimensions[1]], Weights(random, tensor.Dimensions[1] * Rank));
        }
        writer.Save(path);
        return path;
    }

    private static float[] Weights(Random random, long count) => [.. Enumerable.Range(0, (int)count).Select(_ => 0.01f * (random.NextSingle() - 0.5f))];
}
