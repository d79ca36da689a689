using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama;
using TokenMill.Testing;

namespace TokenMill.Serving.Tests;

public sealed class LlamaVocabularyTests(ITestOutputHelper output)
{
    [Fact]
    public void Tokenize_SmolLm2Cases_GiveTheReferenceIds()
    {
        using var vocabulary = LlamaVocabulary.Load(Reference.Locate("models/SmolLM2-135M-Instruct-Q4_1.gguf"));
        var cases = File.ReadLines(Reference.Locate("golden/smollm2/tokenize.jsonl")).Select(line => JsonNode.Parse(line)!).ToList();
        foreach (var @case in cases)
        {
            var ids = vocabulary.Tokenize(@case["text"]!.GetValue<string>());
            Assert.Equal(@case["ids"]!.AsArray().Select(i => i!.GetValue<int>()), ids);
            Assert.Equal(@case["decoded"]!.GetValue<string>(), vocabulary.Decode(ids));
        }
        output.WriteLine($"{cases.Count} texts, all equal");
        Assert.Equal(2, vocabulary.Eos);
        Assert.True(vocabulary.IsEndOfGeneration(2));
        Assert.True(vocabulary.IsControl(1));
    }

    [Theory]
    [InlineData("llama-untied")]
    [InlineData("llama-tied")]
    [InlineData("mistral")]
    [InlineData("qwen2")]
    [InlineData("qwen3")]
    [InlineData("gemma3")]
    [InlineData("phi3")]
    [InlineData("smollm3")]
    public void Tokenize_Family_GivesTheReferenceIds(string family)
    {
        using var vocabulary = LlamaVocabulary.Load(Reference.Locate($"golden/families/{family}/model.gguf"));
        var golden = JsonNode.Parse(File.ReadAllText(Reference.Locate($"golden/families/{family}/golden.json")))!;
        // llama.cpp does not normalise to NFC, so a text that is not NFC differs: the reference lists those.
        var known = golden["llama_cpp"]!["tokenizer_disagrees_on"]!.AsArray().Count;
        var disagreements = golden["tokenizer"]!["texts"]!.AsArray().Count(text =>
            !vocabulary.Tokenize(text!["text"]!.GetValue<string>()).SequenceEqual(Ids(text["ids"]!)) ||
            !vocabulary.Tokenize(text["text"]!.GetValue<string>(), addSpecial: true).SequenceEqual(Ids(text["ids_with_special"]!)));
        Assert.Equal(known, disagreements);

        var chat = golden["tokenizer"]!["chat"]!;
        Assert.Equal(Ids(chat["ids_for_generation"]!), vocabulary.Tokenize(chat["rendered_for_generation"]!.GetValue<string>()));
    }

    [Fact]
    public void Tokenize_OddStrings_RoundTrip()
    {
        using var vocabulary = LlamaVocabulary.Load(Reference.Locate("golden/families/llama-tied/model.gguf"));
        Assert.Equal("a\0b\0", RoundTrip("a\0b\0"));
        Assert.Equal("half \ufffd and \ufffd pairs", RoundTrip("half \ud83d and \ude00 pairs"));
        Assert.Equal("", RoundTrip(""));

        string RoundTrip(string text) => vocabulary.Decode(vocabulary.Tokenize(text));
    }

    [Fact]
    public void Decode_CharacterCutInTwo_KeepsItsBytes()
    {
        using var vocabulary = LlamaVocabulary.Load(Reference.Locate("golden/families/llama-tied/model.gguf"));
        var ids = vocabulary.Tokenize("😀");
        Assert.True(ids.Length > 1);
        Assert.Equal("😀"u8.ToArray(), ids.SelectMany(vocabulary.Piece).ToArray());
        Assert.Equal("�", vocabulary.Decode(ids.AsSpan(0, 1)));
        Assert.Throws<ArgumentOutOfRangeException>(() => vocabulary.Piece(vocabulary.Count));
        Assert.Throws<ArgumentOutOfRangeException>(() => vocabulary.Piece(-1));
    }

    [Fact]
    public void Tokenize_LongRunsOnARecursivePreTokenizer_DoNotOverflowTheStack()
    {
        var bytes = File.ReadAllBytes(Reference.Locate("golden/families/llama-tied/model.gguf"));
        var key = bytes.AsSpan().IndexOf("tokenizer.ggml.pre"u8);
        "falcon"u8.CopyTo(bytes.AsSpan(key + bytes.AsSpan(key).IndexOf("smollm"u8)));
        var path = Path.Combine(Path.GetTempPath(), $"falcon-{Guid.NewGuid():N}.gguf");
        File.WriteAllBytes(path, bytes);
        try
        {
            using var vocabulary = LlamaVocabulary.Load(path);
            foreach (var unit in new[] { "a", " ", "!", "aB", "\n" })
            {
                var text = string.Concat(Enumerable.Repeat(unit, 200_000));
                Assert.Equal(text, vocabulary.Decode(vocabulary.Tokenize(text)));
            }
            Assert.Equal("text-too-long", Assert.Throws<RefusedException>(() => vocabulary.Tokenize(new string('a', 5 << 20))).Error.Code);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Load_MissingFile_SaysSo() =>
        Assert.Equal("model-not-found", Assert.Throws<RefusedException>(() => LlamaVocabulary.Load("/nowhere/model.gguf")).Error.Code);

    private static IEnumerable<int> Ids(JsonNode array) => array.AsArray().Select(i => i!.GetValue<int>());
}
