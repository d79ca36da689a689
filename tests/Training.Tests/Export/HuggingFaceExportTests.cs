using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Testing;
using TokenMill.Training.Export;

namespace TokenMill.Training.Tests.Export;

/// <summary>From GGUF back to Hugging Face's layout: the very weights, tokenizer and template that the GGUF was converted from.</summary>
public sealed class HuggingFaceExportTests : IDisposable
{
    private readonly string _scratch = Directory.CreateTempSubdirectory("tokenmill-").FullName;

    public static TheoryData<string> Families => ["llama-tied", "llama-untied", "mistral", "qwen2", "qwen3", "phi3", "smollm3", "gemma3"];

    public void Dispose() => Directory.Delete(_scratch, recursive: true);

    [Theory]
    [MemberData(nameof(Families))]
    public void Folder_FromGguf_IsTheOriginalAgain(string family)
    {
        using var model = GgufFile.Open(Reference.Locate($"golden/families/{family}/model.gguf"));
        HuggingFaceModel.Write(_scratch, model, ModelTensors.Merge(model, null), GgufType.F32);

        Assert.True(ModelInspector.Inspect(_scratch).Accepted, string.Join(' ', ModelInspector.Inspect(_scratch).Errors));
        using var ours = HuggingFaceFolder.Open(_scratch);
        using var original = HuggingFaceFolder.Open(Reference.Locate($"golden/families/{family}/hf"));
        foreach (var tensor in original.Tensors.Where(t => !(original.Config.TiedEmbeddings && t.Name == "lm_head.weight")))
        {
            var (expected, actual) = (original.ReadFloats(tensor.Name), ours.ReadFloats(tensor.Name));
            // Gemma's norms went through 1 + w in fp32, which costs the last bits of w.
            Assert.InRange(expected.Zip(actual, (e, a) => Math.Abs(e - a)).Max(), 0, family == "gemma3" && tensor.Name.EndsWith("norm.weight", StringComparison.Ordinal) ? 6e-8 : 0);
        }
        var (a, b) = (ours.Config, original.Config);
        Assert.Equal((b.VocabularySize, b.HiddenSize, b.IntermediateSize, b.Layers, b.Heads, b.KeyValueHeads, b.HeadLength, b.ContextLength, b.RopeTheta, b.TiedEmbeddings, b.AttentionBias),
            (a.VocabularySize, a.HiddenSize, a.IntermediateSize, a.Layers, a.Heads, a.KeyValueHeads, a.HeadLength, a.ContextLength, a.RopeTheta, a.TiedEmbeddings, a.AttentionBias));
        Assert.Equal((float)b.Epsilon, (float)a.Epsilon);
        Assert.Equal(b.RopeScaling?.GetProperty("factor").GetDouble(), a.RopeScaling?.GetProperty("factor").GetDouble());
        Assert.Equal(b.RopeScaling?.GetProperty("original_max_position_embeddings").GetInt64(), a.RopeScaling?.GetProperty("original_max_position_embeddings").GetInt64());
        Assert.Equal(original.ChatTemplate, ours.ChatTemplate);
        foreach (var field in (string[])["rope_local_base_freq", "sliding_window_pattern", "no_rope_layers", "query_pre_attn_scalar", "bos_token_id", "eos_token_id", "pad_token_id"])
            if (b.Json.TryGetProperty(field, out var expected) && a.Json.TryGetProperty(field, out var actual)) Assert.True(JsonElement.DeepEquals(expected, actual), $"{field}: {actual} instead of {expected}");
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Tokenizer_FromGguf_IsTheOriginalAgain(string family)
    {
        using var model = GgufFile.Open(Reference.Locate($"golden/families/{family}/model.gguf"));
        var ours = TokenizerJson.Build(model.Metadata);
        var original = JsonNode.Parse(File.ReadAllText(Reference.Locate($"golden/families/{family}/hf/tokenizer.json")))!.AsObject();
        // tokenizer.json may list added tokens in the vocabulary as well or not: the two together are what counts.
        Assert.Equal(AllTokens(original), AllTokens(ours));
        Assert.True(JsonNode.DeepEquals(original["added_tokens"], ours["added_tokens"]));
        Assert.True(JsonNode.DeepEquals(original["model"]!["merges"], ours["model"]!["merges"]));
        Assert.True(JsonNode.DeepEquals(original["model"]!["ignore_merges"], ours["model"]!["ignore_merges"]));
        foreach (var part in (string[])["normalizer", "pre_tokenizer", "post_processor", "decoder"])
            Assert.True(JsonNode.DeepEquals(original[part], ours[part]), $"{part}: {ours[part]?.ToJsonString()} instead of {original[part]?.ToJsonString()}");
    }

    [Fact]
    public void Folder_OfATypeItCannotHold_IsRefusedBeforeAnythingIsWritten()
    {
        using var model = GgufFile.Open(Reference.Locate("golden/families/qwen3/model.gguf"));
        var folder = Path.Combine(_scratch, "none");
        Assert.Equal("type-unsupported", Assert.Throws<RefusedException>(() => HuggingFaceModel.Write(folder, model, ModelTensors.Merge(model, null), GgufType.Q8_0)).Error.Code);
        Assert.False(Directory.Exists(folder));
    }

    [Theory]
    [InlineData(500000, 128, 8, 8192)]
    [InlineData(500000, 64, 32, 8192)]
    [InlineData(10000, 16, 8, 64)]
    public void RopeScaling_FactorsOfLlama3_GiveTheirParametersBack(double theta, int head, double factor, double original)
    {
        var scaling = new RopeScaling.Llama3(factor, 1, 4, original);
        Assert.Equal(scaling, RopeScaling.Recover(RopeScaling.Factors(scaling, theta, head), theta, head));
    }

    private static SortedDictionary<int, string> AllTokens(JsonObject tokenizer)
    {
        var tokens = new SortedDictionary<int, string>();
        foreach (var (text, id) in tokenizer["model"]!["vocab"]!.AsObject()) tokens[(int)id!] = text;
        foreach (var token in tokenizer["added_tokens"]!.AsArray()) tokens[(int)token!["id"]!] = (string)token["content"]!;
        return tokens;
    }
}
