using TokenMill.Shared;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Testing;
using TokenMill.Training.Export;
using TokenMill.Training.Models;

namespace TokenMill.Training.Tests.Export;

/// <summary>What llama.cpp's quantiser writes, our decoder reads back: a check of both ends of every block type on weights like real ones.</summary>
public sealed class QuantizedExportTests(ITestOutputHelper output) : IDisposable
{
    private const int Width = 256;                          // the block of the K types

    private readonly string _scratch = Directory.CreateTempSubdirectory("tokenmill-").FullName;

    public void Dispose() => Directory.Delete(_scratch, recursive: true);

    /// <summary>The root mean square error of normally distributed weights, relative to them: a step of b bits leaves about 0.9 · 2^(1−b), K types a little less.</summary>
    [Theory]
    [InlineData("Q4_0", GgufType.Q4_0, 0.12)]
    [InlineData("Q4_1", GgufType.Q4_1, 0.10)]
    [InlineData("Q5_0", GgufType.Q5_0, 0.06)]
    [InlineData("Q5_1", GgufType.Q5_1, 0.05)]
    [InlineData("Q4_K_M", GgufType.Q4_K, 0.09)]
    [InlineData("Q5_K_M", GgufType.Q5_K, 0.05)]
    [InlineData("Q6_K", GgufType.Q6_K, 0.03)]
    public void Quantized_ByLlamaCpp_ReadsBackNearTheWeights(string type, GgufType expected, double tolerance)
    {
        Reference.Require(Directory.Exists(Installation.Llama), "llama.cpp's libraries");
        using var model = RandomModel();
        var path = Path.Combine(_scratch, "quantised.gguf");
        GgufModelFile.WriteQuantized(path, model, ModelTensors.Merge(model, null), type);

        Assert.Equal(2, Directory.EnumerateFiles(_scratch).Count());             // nothing temporary is left
        using var written = GgufFile.Open(path);
        Assert.True(GgufModel.Check(written) is { Servable.Yes: true, Trainable.Yes: true });
        Assert.Contains(written.Tensors, t => t.Type == expected);
        foreach (var tensor in written.Tensors.Where(t => t.Type == expected))
        {
            var (exact, read) = (new float[tensor.Elements], new float[tensor.Elements]);
            model.ReadFloats(model.Find(tensor.Name)!, exact);
            written.ReadFloats(tensor, read);
            var error = Math.Sqrt(exact.Zip(read, (e, r) => (double)(e - r) * (e - r)).Sum() / exact.Sum(e => (double)e * e));
            output.WriteLine($"{tensor.Name} {type}: {error:F4}");
            Assert.InRange(error, 1e-4, tolerance);
        }
    }

    private GgufFile RandomModel()
    {
        using var tokenizer = GgufFile.Open(Reference.Locate("golden/families/llama-tied/model.gguf"));
        var config = ModelConfig.FromGguf(tokenizer) with { HiddenSize = Width, IntermediateSize = Width, Layers = 1, Heads = 4, KeyValueHeads = 2, HeadDim = 64 };
        var shape = HuggingFaceConfig.Parse(System.Text.Json.JsonSerializer.SerializeToElement(new Dictionary<string, object>
        {
            ["model_type"] = "llama", ["vocab_size"] = config.VocabularySize, ["hidden_size"] = Width, ["intermediate_size"] = Width, ["num_hidden_layers"] = 1,
            ["num_attention_heads"] = 4, ["num_key_value_heads"] = 2, ["head_dim"] = 64, ["max_position_embeddings"] = 512, ["tie_word_embeddings"] = true,
        }));
        var random = new SeededRandom(3);
        var weights = shape.Family.Tensors(shape).Select(t => new TrainedWeight(t.Name, [.. t.Shape.Select(d => (int)d)],
            () => [.. Enumerable.Range(0, (int)t.Shape.Aggregate(1L, (product, d) => product * d)).Select(_ => (float)(random.Normal() * 0.05))])).ToList();
        var path = Path.Combine(_scratch, "exact.gguf");
        GgufModelFile.WriteNew(path, config, tokenizer.Metadata, "random", null, ModelTensors.Create(config, weights), GgufType.F32);
        return GgufFile.Open(path);
    }
}
