using System.Text;
using TokenMill.Shared.Llama;
using TokenMill.Training.Tokenizer;

namespace TokenMill.Training.Tests.Tokenizer;

/// <summary>The vocabulary we learn is the one libllama reads: its ids and ours are the same for any text.</summary>
public sealed class BytePairTests
{
    private static readonly string[] Corpus =
    [
        "The cat sat on the mat. The cats sat on the mats, and the dog didn't sit at all.",
        "How do I reset my password? I can't sign in, and we've tried it 12 times since 2024.",
        "今天天气很好，我们去公园。今天天气不好，我们在家看书。",
        "one\ntwo\n\n  three\tfour   five 1 2 3 45 six... (seven) \"eight\" nine-ten, eleven!",
    ];

    [Fact]
    public void Tokenizer_AnyText_HasTheIdsOfLibllamaAndDecodesToItself()
    {
        using var file = new TemporaryTokenizer(Learn(600));
        using var vocabulary = LlamaVocabulary.Load(file.Path);
        Assert.Equal(file.Tokenizer.Tokens.Count, vocabulary.Count);
        foreach (var text in Texts())
        {
            var ids = file.Tokenizer.Encode(text);
            Assert.Equal(vocabulary.Tokenize(text), ids);
            Assert.Equal(text, file.Tokenizer.Decode(ids));
            Assert.Equal(text, vocabulary.Decode(ids));
        }
    }

    [Fact]
    public void Tokenizer_TurnTokens_AreControlTokensThatEndAnAnswer()
    {
        using var file = new TemporaryTokenizer(Learn(300));
        using var vocabulary = LlamaVocabulary.Load(file.Path);
        Assert.Equal([1, .. vocabulary.Tokenize("user\nhi"), 2], vocabulary.Tokenize("<|im_start|>user\nhi<|im_end|>"));
        Assert.Equal((0, 2, 2, false), (vocabulary.Bos, vocabulary.Eos, vocabulary.Eot, vocabulary.AddsBos));
        Assert.True(vocabulary.IsControl(1) && vocabulary.IsEndOfGeneration(2) && !vocabulary.IsEndOfGeneration(1));
    }

    [Fact]
    public void Trainer_SameText_LearnsTheSameMergesMostFrequentFirst()
    {
        Assert.Equal(Learn(500).Merges, Learn(500).Merges);

        var trainer = new BytePairTrainer();
        trainer.Add("abab abab aab");                       // words: abab, " abab", " aab"
        var merges = trainer.Train([], 260, TestContext.Current.CancellationToken).Merges;
        Assert.Equal(("a", "b"), merges[0]);                // five times
        Assert.Equal(("ab", "ab"), merges[1]);              // twice, as often as ("Ġ","a"), whose first id is larger
    }

    private static BytePairTokenizer Learn(int size)
    {
        var trainer = new BytePairTrainer();
        foreach (var text in Corpus) trainer.Add(text);
        return trainer.Train(TokenizerFile.SpecialTokens, size, CancellationToken.None);
    }

    /// <summary>Corpus, special tokens inside text, and random strings of every kind of character that the split distinguishes.</summary>
    private static IEnumerable<string> Texts()
    {
        foreach (var text in Corpus) yield return text;
        yield return "";
        yield return "a<|im_end|>b <|im_start|> <|endoftext|><|im_end|>";
        yield return "<|im_end|";
        string[] parts =
        [
            "a", "Z", "é", "ß", "ж", "今", "天", "ا", "0", "7", "²", "½", "Ⅷ", "٣", " ", "  ", "\n", "\t", "\r\n", "\u00A0", "\u3000", "\u2028",
            "'", "'s", "'re", "'ll", "'d", "'S", "’", ".", "...", "!", "(", "—", "。", "🙂", "👩‍🚀", "\u0301", "\u200B", "\u0000", "\u0007", "the", "cat", " sat",
        ];
        var random = new Random(7);
        for (var i = 0; i < 2_000; i++)
        {
            var text = new StringBuilder();
            for (var n = random.Next(1, 25); n > 0; n--) text.Append(parts[random.Next(parts.Length)]);
            yield return text.ToString();
        }
    }

    private sealed class TemporaryTokenizer : IDisposable
    {
        public TemporaryTokenizer(BytePairTokenizer tokenizer)
        {
            Tokenizer = tokenizer;
            TokenizerFile.Save(tokenizer, Path);
        }

        public BytePairTokenizer Tokenizer { get; }

        public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"tokenizer-{Guid.NewGuid():N}.gguf");

        public void Dispose() => File.Delete(Path);
    }
}
