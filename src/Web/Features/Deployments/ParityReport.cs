using TokenMill.Shared.Domain;

namespace TokenMill.Web.Features.Deployments;

/// <summary>One position where the engine and the trainer disagree: log-probabilities of the token that really follows.</summary>
public sealed record ParityToken(int Conversation, int Position, string Text, double Trainer, double Server)
{
    public double Difference => Math.Abs(Trainer - Server);
}

/// <summary>
/// How far the engine's log-probabilities lie from the trainer's for the same weights and the same tokens.
/// Bounds are about twice what llama.cpp's CPU kernels were measured to differ from fp32: 0.002–0.004 on average for F16 weights,
/// 0.06–0.09 for quantised ones (their activations become int8). A wrong template, tokenizer, permutation or adapter scale is far outside.
/// </summary>
public sealed record ParityReport(int Conversations, int Tokens, bool Quantised, double MeanLogprobDifference, double MaxLogprobDifference, double NllDifference, IReadOnlyList<ParityToken> Worst)
{
    public const int MinConversations = 5, MinTokens = 200;
    private const int WorstShown = 8;
    private const double MaxMeanExact = 0.01, MaxMeanQuantised = 0.15, MaxNllQuantised = 0.04;

    public int Version { get; init; } = 1;

    /// <summary>Which weights were compared; null in reports from before there were variants.</summary>
    public string? WeightsSha256 { get; init; }

    /// <summary><paramref name="pairs"/>: every compared position of every conversation.</summary>
    public static ParityReport Of(int conversations, bool quantised, IReadOnlyCollection<ParityToken> pairs) => new(
        conversations, pairs.Count, quantised,
        pairs.Average(p => p.Difference), pairs.Max(p => p.Difference), pairs.Average(p => p.Trainer) - pairs.Average(p => p.Server),
        [.. pairs.OrderByDescending(p => p.Difference).Take(WorstShown)]);

    /// <summary>Why such a deployment takes no traffic, or null.</summary>
    public Error? Refusal()
    {
        var mean = Quantised ? MaxMeanQuantised : MaxMeanExact;
        if (!(MeanLogprobDifference <= mean))
            return Differs($"log-probabilities differ by {MeanLogprobDifference:0.####} on average, {mean} is the bound for {(Quantised ? "quantised" : "16- and 32-bit")} weights");
        if (Quantised && !(Math.Abs(NllDifference) <= MaxNllQuantised))
            return Differs($"the mean log-likelihood moves by {Math.Abs(NllDifference):0.####}, {MaxNllQuantised} is the bound");
        return null;
    }

    private static Error Differs(string how) => new("parity-failed", $"The engine computes something else than the trainer: {how}", "look at the worst tokens below; deploy another export of the model, or the merged one");
}
