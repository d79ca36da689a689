using System.Text.RegularExpressions;

namespace TokenMill.Web.Features.Evaluation.Metrics;

/// <summary>ROUGE (Lin, 2004) as the package rouge-score computes it; with several references the one with the highest F1 counts.</summary>
public sealed partial class Rouge(TextTokenizer tokenizer = TextTokenizer.Default, bool stemmer = false)
{
    /// <summary>Shorter words are left as they are.</summary>
    private const int LongestUnstemmed = 3;

    /// <summary>Each 0…1.</summary>
    public readonly record struct Result(double Precision, double Recall)
    {
        public double F1 => Precision + Recall > 0 ? 2 * Precision * Recall / (Precision + Recall) : 0;
    }

    /// <summary>Runs of n tokens in common.</summary>
    public Result N(string prediction, IReadOnlyList<string> references, int n)
    {
        var ours = new NGrams(Tokenize(prediction), n);
        return Best(references, reference =>
        {
            var theirs = new NGrams(Tokenize(reference), n);
            double matches = ours.Matches(theirs);
            return new Result(matches / Math.Max(1, ours.Total), matches / Math.Max(1, theirs.Total));
        });
    }

    /// <summary>The longest common subsequence of tokens.</summary>
    public Result L(string prediction, IReadOnlyList<string> references)
    {
        var ours = Tokenize(prediction);
        return Best(references, reference =>
        {
            var theirs = Tokenize(reference);
            return ours.Count == 0 || theirs.Count == 0 ? default : Ratio(CommonLength(theirs, ours), ours.Count, theirs.Count);
        });
    }

    /// <summary>Line by line: each line of the reference against all lines of the prediction, what is found in any of them taken together.</summary>
    public Result LSum(string prediction, IReadOnlyList<string> references)
    {
        var ours = Lines(prediction);
        return Best(references, reference => LSum(ours, Lines(reference)));
    }

    private static Result LSum(List<List<string>> prediction, List<List<string>> reference)
    {
        int predicted = prediction.Sum(l => l.Count), wanted = reference.Sum(l => l.Count);
        if (predicted == 0 || wanted == 0) return default;
        Dictionary<string, int> left = Counts(prediction), leftOfReference = Counts(reference);
        var hits = 0;
        foreach (var line in reference)
        {
            var found = new SortedSet<int>(prediction.SelectMany(other => CommonPlaces(line, other)));
            foreach (var token in found.Select(place => line[place]))
            {
                if (left.GetValueOrDefault(token) == 0 || leftOfReference[token] == 0) continue;
                left[token]--;
                leftOfReference[token]--;
                hits++;
            }
        }
        return Ratio(hits, predicted, wanted);
    }

    private static Result Best(IReadOnlyList<string> references, Func<string, Result> score) =>
        references.Count == 0 ? default : references.Select(score).MaxBy(r => r.F1);

    private static Result Ratio(double matches, int predicted, int wanted) => new(matches / predicted, matches / wanted);

    private static Dictionary<string, int> Counts(List<List<string>> lines) =>
        lines.SelectMany(l => l).GroupBy(t => t, StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.Count(), StringComparer.Ordinal);

    private List<List<string>> Lines(string text) => [.. text.Split('\n').Where(line => line.Length > 0).Select(Tokenize)];

    private List<string> Tokenize(string text)
    {
        var lower = text.ToLowerInvariant();
        if (tokenizer != TextTokenizer.Default) return TextTokenizers.Tokenize(lower, tokenizer);
        var words = Words().Matches(lower).Select(m => m.Value);
        return [.. stemmer ? words.Select(w => w.Length > LongestUnstemmed ? PorterStemmer.Stem(w) : w) : words];
    }

    /// <summary>Places in the reference that belong to a longest common subsequence; of several, the one found by stepping back through the reference first.</summary>
    private static IEnumerable<int> CommonPlaces(List<string> reference, List<string> prediction)
    {
        var table = LengthTable(reference, prediction);
        for (int i = reference.Count, j = prediction.Count; i > 0 && j > 0;)
        {
            if (reference[i - 1] == prediction[j - 1])
            {
                yield return i - 1;
                (i, j) = (i - 1, j - 1);
            }
            else if (table[i, j - 1] > table[i - 1, j]) j--;
            else i--;
        }
    }

    /// <summary>The last number of <see cref="LengthTable"/>, with two rows instead of all: whole answers are long.</summary>
    private static int CommonLength(List<string> reference, List<string> prediction)
    {
        int[] above = new int[prediction.Count + 1], row = new int[prediction.Count + 1];
        foreach (var token in reference)
        {
            for (var j = 1; j <= prediction.Count; j++)
                row[j] = token == prediction[j - 1] ? above[j - 1] + 1 : Math.Max(above[j], row[j - 1]);
            (above, row) = (row, above);
        }
        return above[^1];
    }

    /// <summary>Lengths of the longest common subsequences of all beginnings. // (reference + 1, prediction + 1)</summary>
    private static int[,] LengthTable(List<string> reference, List<string> prediction)
    {
        var table = new int[reference.Count + 1, prediction.Count + 1];
        for (var i = 1; i <= reference.Count; i++)
            for (var j = 1; j <= prediction.Count; j++)
                table[i, j] = reference[i - 1] == prediction[j - 1] ? table[i - 1, j - 1] + 1 : Math.Max(table[i - 1, j], table[i, j - 1]);
        return table;
    }

    [GeneratedRegex("[a-z0-9]+", RegexOptions.CultureInvariant)]
    private static partial Regex Words();
}
