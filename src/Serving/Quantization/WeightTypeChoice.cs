using System.Globalization;

namespace TokenMill.Serving.Quantization;

/// <summary>
/// The type of weights to serve a model with on one machine. A type is chosen instead of the file's own only if it is clearly faster here
/// and predicts nearly what the file predicts: a file that is quantised already is never made into something worse for the sake of speed.
/// </summary>
/// <param name="Type">The file's own, or one of the measured variants'.</param>
/// <param name="Gain">How many times as fast as the file's own type.</param>
/// <param name="Why">In one sentence, with the figures.</param>
/// <param name="Report">Null where there was nothing to measure.</param>
public sealed record WeightTypeChoice(string FileType, string Type, double Gain, string Why, PrecisionReport? Report)
{
    /// <summary>Bounds of what counts as the same: eight-bit weights of a model keep them, four-bit ones of a small model do not.</summary>
    public const double MostDivergence = 0.02, LeastAgreement = 0.9;

    public const double LeastGain = 1.1;

    /// <summary>What a usual request costs: a prompt of so many tokens, and an answer.</summary>
    private const int PromptTokens = 256, AnswerTokens = 128;

    public bool IsFileType => Type == FileType;

    public static WeightTypeChoice Of(string fileType, PrecisionReport report)
    {
        var given = Seconds(report.Original);
        var best = report.Variants.Where(v => WhyNot(v, given) is null).MinBy(Seconds);
        var others = report.Variants.Where(v => v != best).Select(v => $"{v.Type}: {WhyNot(v, given) ?? string.Create(CultureInfo.InvariantCulture, $"only {given / Seconds(v):0.00} times as fast")}");
        return best is null
            ? new WeightTypeChoice(fileType, fileType, 1, $"the file's {fileType} stays ({string.Join("; ", others)})", report)
            : new WeightTypeChoice(fileType, best.Type, given / Seconds(best), string.Join("; ", others.Prepend(string.Create(CultureInfo.InvariantCulture,
                $"{best.Type} is {given / Seconds(best):0.00} times as fast as the file's {fileType} here, with a divergence of {best.KlDivergence:0.0000} and {best.Top1Agreement:P1} agreement"))), report);
    }

    private static string? WhyNot(MeasuredVariant variant, double given)
    {
        if (!(variant.KlDivergence <= MostDivergence && variant.Top1Agreement >= LeastAgreement))
            return string.Create(CultureInfo.InvariantCulture, $"less precise than allowed, with a divergence of {variant.KlDivergence:0.0000} (at most {MostDivergence}) and {variant.Top1Agreement:P1} agreement (at least {LeastAgreement:P0})");
        var gain = given / Seconds(variant);
        return gain >= LeastGain ? null : string.Create(CultureInfo.InvariantCulture, $"{gain:0.00} times as fast, {LeastGain} is the least that counts");
    }

    private static double Seconds(MeasuredVariant variant) => PromptTokens / variant.PromptTokensPerSecond + AnswerTokens / variant.TokensPerSecond;
}
