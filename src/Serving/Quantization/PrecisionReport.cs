using System.Globalization;
using System.Text;

namespace TokenMill.Serving.Quantization;

/// <summary>One file of a model, measured. <see cref="Path"/> is null where the file was not kept.</summary>
public sealed record MeasuredVariant(string Type, string? Path, long SizeBytes, double TokensPerSecond, double PromptTokensPerSecond, double Perplexity, double KlDivergence, double Top1Agreement);

/// <summary>Precision against speed of a model's quantised variants, measured on one machine with one data set.</summary>
public sealed record PrecisionReport(string Model, string Data, int Examples, int ScoredTokens, int Threads, MeasuredVariant Original, IReadOnlyList<MeasuredVariant> Variants)
{
    public string ToText()
    {
        var text = new StringBuilder($"{"type",-10}{"MB",9}{"tokens/s",11}{"prompt tokens/s",18}{"perplexity",13}{"KL divergence",16}{"top-1 agreement",18}\n");
        foreach (var v in Variants.Prepend(Original))
            text.Append(CultureInfo.InvariantCulture, $"{v.Type,-10}{v.SizeBytes / 1e6,9:0.0}{v.TokensPerSecond,11:0.0}{v.PromptTokensPerSecond,18:0}{v.Perplexity,13:0.000}{v.KlDivergence,16:0.00000}{v.Top1Agreement,18:P1}\n");
        return text.ToString();
    }
}
