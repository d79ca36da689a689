using System.Text.Json.Nodes;
using TokenMill.Testing;
using TokenMill.Web.Features.Evaluation.Metrics;

namespace TokenMill.Web.Tests.Metrics;

/// <summary>Against rouge-score, sacrebleu, NLTK, the SQuAD formula and numpy, within the tolerances that the files state.</summary>
public sealed class MetricGoldenTests(ITestOutputHelper output)
{
    private static List<JsonObject> Cases(string file) =>
        [.. File.ReadLines(Reference.Locate($"golden/metrics/{file}.jsonl")).Skip(1).Select(line => JsonNode.Parse(line)!.AsObject())];

    [Fact]
    public void Rouge_AllCases_AgreeToRounding()
    {
        var worst = 0.0;
        foreach (var @case in Cases("rouge"))
        {
            var rouge = new Rouge(Text(@case["tokenizer"]) == "zh" ? TextTokenizer.Chinese : TextTokenizer.Default, @case["stemmer"]!.GetValue<bool>());
            var (prediction, references) = (Text(@case["prediction"]), Texts(@case["references"]));
            foreach (var (type, expected) in @case["expected"]!.AsObject())
            {
                var result = type switch
                {
                    "rouge1" => rouge.N(prediction, references, 1),
                    "rouge2" => rouge.N(prediction, references, 2),
                    "rougeL" => rouge.L(prediction, references),
                    _ => rouge.LSum(prediction, references),
                };
                foreach (var (part, value) in expected!.AsObject())
                    Compare($"{@case["id"]} {type} {part}", Number(value), part switch { "precision" => result.Precision, "recall" => result.Recall, _ => result.F1 }, 1e-12, ref worst);
            }
        }
        output.WriteLine($"worst deviation {worst:E1}");
    }

    [Fact]
    public void PorterStemmer_AllWords_Agree() =>
        Assert.All(Cases("porter-stems"), @case => Assert.Equal($"{@case["word"]}: {@case["stem"]}", $"{@case["word"]}: {PorterStemmer.Stem(Text(@case["word"]))}"));

    [Fact]
    public void Tokenizers_AllTexts_Agree()
    {
        foreach (var @case in Cases("bleu-tokens"))
            foreach (var (name, expected) in @case["tokens"]!.AsObject())
                Assert.Equal(Texts(expected), TextTokenizers.Tokenize(MetricText.TrimEnd(Text(@case["text"])), Tokenizer(name)));
    }

    [Fact]
    public void Bleu_AllCases_AgreeToRounding()
    {
        var worst = 0.0;
        foreach (var @case in Cases("bleu"))
        {
            var smoothing = Text(@case["smoothing"]) switch { "exp" => BleuSmoothing.Exponential, "none" => BleuSmoothing.None, var s when s.StartsWith("floor", StringComparison.Ordinal) => BleuSmoothing.Floor, _ => BleuSmoothing.AddOne };
            var bleu = new Bleu(Tokenizer(Text(@case["tokenizer"])), @case["lowercase"]!.GetValue<bool>(), smoothing);
            Compare($"{@case["id"]} {@case["signature"]}", Number(@case["expected"]!["score"]), Score(@case, bleu.Sentence, bleu.Corpus), 1e-9, ref worst);
        }
        output.WriteLine($"worst deviation {worst:E1}");
    }

    [Fact]
    public void ChrF_AllCases_AgreeToRounding()
    {
        var worst = 0.0;
        foreach (var @case in Cases("chrf"))
        {
            var metric = new ChrF(@case["word_order"]!.GetValue<int>(), @case["lowercase"]!.GetValue<bool>());
            Compare($"{@case["id"]} {@case["signature"]}", Number(@case["expected"]!["score"]), Score(@case, metric.Sentence, metric.Corpus), 1e-9, ref worst);
        }
        output.WriteLine($"worst deviation {worst:E1}");
    }

    [Fact]
    public void Squad_AllCases_Agree()
    {
        var worst = 0.0;
        foreach (var @case in Cases("squad"))
        {
            var (prediction, answers) = (Text(@case["prediction"]), Texts(@case["answers"]));
            Assert.Equal(Text(@case["normalised_prediction"]), Squad.Normalise(prediction));
            Compare($"exact match of {prediction}", Number(@case["exact_match"]), Squad.ExactMatch(prediction, answers), 0, ref worst);
            Compare($"F1 of {prediction}", Number(@case["f1"]), Squad.F1(prediction, answers), 1e-12, ref worst);
        }
    }

    [Fact]
    public void Perplexity_AllCases_AgreeRelatively()
    {
        var worst = 0.0;
        foreach (var @case in Cases("perplexity"))
        {
            var masks = @case["masks"]?.AsArray();
            var counted = @case["sequences"]!.AsArray().SelectMany((sequence, s) => sequence!.AsArray().Where((_, t) => masks is null || masks[s]![t]!.GetValue<int>() == 1)).Select(Number);
            var perplexity = Perplexity.Of(counted);
            if (@case["perplexity"] is null)
            {
                Assert.Null(perplexity);
                continue;
            }
            Assert.Equal(@case["tokens"]!.GetValue<int>(), perplexity!.Value.Tokens);
            CompareRelatively("perplexity", Number(@case["perplexity"]), perplexity.Value.Value, ref worst);
            CompareRelatively("bits", Number(@case["bits_per_token"]), perplexity.Value.BitsPerToken, ref worst);
            CompareRelatively("mean", Number(@case["mean_log_prob"]), perplexity.Value.MeanLogProbability, ref worst);
        }
        output.WriteLine($"worst relative deviation {worst:E1}");
    }

    [Fact]
    public void Bootstrap_AllCases_LieWithinResamplingError()
    {
        foreach (var @case in Cases("significance"))
        {
            switch (Text(@case["method"]))
            {
                case "percentile_bootstrap_of_the_mean":
                    var interval = Bootstrap.Mean(Numbers(@case["values"]), Number(@case["level"]));
                    var tolerance = Number(@case["tolerance_at_10000_resamples"]);
                    Assert.Equal(Number(@case["mean"]), interval.Mean, 1e-12);
                    Assert.Equal(Number(@case["low"]), interval.Low, tolerance);
                    Assert.Equal(Number(@case["high"]), interval.High, tolerance);
                    break;
                case "paired_bootstrap":
                    var difference = Bootstrap.Difference(Numbers(@case["a"]), Numbers(@case["b"]));
                    Assert.Equal(Number(@case["mean_difference"]), difference.Interval.Mean, 1e-12);
                    Assert.Equal(Number(@case["p_one_sided"]), difference.POneSided, Number(@case["tolerance_at_10000_resamples"]![0]));
                    Assert.Equal(Number(@case["p_two_sided"]), difference.PTwoSided, Number(@case["tolerance_at_10000_resamples"]![1]));
                    Assert.InRange(difference.Interval.Mean, difference.Interval.Low, difference.Interval.High);
                    break;
            }
        }
    }

    private static double Score(JsonObject @case, Func<string, IReadOnlyList<string>, double> sentence, Func<IReadOnlyList<(string, IReadOnlyList<string>)>, double> corpus)
    {
        var predictions = Texts(@case["predictions"]);
        var streams = @case["references"]!.AsArray().Select(Texts).ToList();
        List<(string Prediction, IReadOnlyList<string> References)> pairs = [.. predictions.Select((p, i) => (p, (IReadOnlyList<string>)[.. streams.Select(s => s[i])]))];
        return Text(@case["level"]) == "sentence" ? sentence(pairs[0].Prediction, pairs[0].References) : corpus(pairs);
    }

    private static TextTokenizer Tokenizer(string name) => name switch
    {
        "13a" => TextTokenizer.Mteval13A,
        "intl" => TextTokenizer.International,
        "zh" => TextTokenizer.Chinese,
        _ => TextTokenizer.Character,
    };

    private static void Compare(string what, double expected, double actual, double tolerance, ref double worst)
    {
        var deviation = Math.Abs(expected - actual);
        worst = Math.Max(worst, deviation);
        Assert.True(deviation <= tolerance, $"{what}: expected {expected:R}, got {actual:R}");
    }

    private static void CompareRelatively(string what, double expected, double actual, ref double worst)
    {
        if (double.IsInfinity(expected)) Assert.Equal(expected, actual);
        else if (expected == 0) Assert.Equal(0, actual, 1e-300);
        else Compare(what, 1, actual / expected, 1e-12, ref worst);
    }

    private static string Text(JsonNode? node) => node!.GetValue<string>();

    private static List<string> Texts(JsonNode? node) => [.. node!.AsArray().Select(Text)];

    private static List<double> Numbers(JsonNode? node) => [.. node!.AsArray().Select(Number)];

    private static double Number(JsonNode? node) =>
        node!.GetValueKind() == System.Text.Json.JsonValueKind.String ? Text(node) switch { "Infinity" => double.PositiveInfinity, _ => double.NegativeInfinity } : node.GetValue<double>();
}
