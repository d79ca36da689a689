namespace TokenMill.Web.Features.Evaluation.Metrics;

/// <summary>An answer and what was wanted.</summary>
public sealed record ScoredText(string Prediction, IReadOnlyList<string> References);

public sealed record TextMetricOptions(TextTokenizer Tokenizer = TextTokenizer.Default, bool Stemmer = false);

/// <summary>A metric by name: a score for each item, and one for all of them (their mean, or what BLEU and chrF define for a corpus).</summary>
public sealed class TextMetric
{
    private readonly Func<ScoredText, double> _score;
    private readonly Func<IReadOnlyList<ScoredText>, double>? _corpus;

    private TextMetric(string name, Func<ScoredText, double> score, Func<IReadOnlyList<ScoredText>, double>? corpus = null) => (Name, _score, _corpus) = (name, score, corpus);

    public static IReadOnlyList<string> Names { get; } = ["exact_match", "f1", "rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "chrf", "chrf++", "json_valid"];

    public string Name { get; }

    public double Score(ScoredText item) => _score(item);

    /// <summary>Over all items, of which there is at least one; <paramref name="scores"/> are theirs, in the same order.</summary>
    public double Total(IReadOnlyList<ScoredText> items, IReadOnlyList<double> scores) => _corpus?.Invoke(items) ?? scores.Average();

    /// <summary>Null for a name that is not in <see cref="Names"/>.</summary>
    public static TextMetric? Find(string name, TextMetricOptions? options = null)
    {
        options ??= new TextMetricOptions();
        var rouge = new Rouge(options.Tokenizer, options.Stemmer);
        var bleu = new Bleu(options.Tokenizer);
        return name switch
        {
            "exact_match" => new(name, i => Squad.ExactMatch(i.Prediction, i.References)),
            "f1" => new(name, i => Squad.F1(i.Prediction, i.References)),
            "rouge1" => new(name, i => rouge.N(i.Prediction, i.References, 1).F1),
            "rouge2" => new(name, i => rouge.N(i.Prediction, i.References, 2).F1),
            "rougeL" => new(name, i => rouge.L(i.Prediction, i.References).F1),
            "rougeLsum" => new(name, i => rouge.LSum(i.Prediction, i.References).F1),
            "bleu" => new(name, i => bleu.Sentence(i.Prediction, i.References), items => bleu.Corpus(Pairs(items))),
            "chrf" => CharacterF(name, new ChrF()),
            "chrf++" => CharacterF(name, new ChrF(wordOrder: 2)),
            "json_valid" => new(name, i => JsonValidity.Score(i.Prediction)),
            _ => null,
        };
    }

    private static TextMetric CharacterF(string name, ChrF metric) => new(name, i => metric.Sentence(i.Prediction, i.References), items => metric.Corpus(Pairs(items)));

    private static List<(string, IReadOnlyList<string>)> Pairs(IReadOnlyList<ScoredText> items) => [.. items.Select(i => (i.Prediction, i.References))];
}
